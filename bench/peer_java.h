/*
 * peer_java.h - direct buffers of a JDK, if there is one: in $JAVA_HOME, or
 * java on the PATH.  It runs beside the benchmark as a program of its own,
 * which is told what to do and answers when it has done so.
 */
#ifndef PEER_JAVA_H
#define PEER_JAVA_H

#include <stddef.h>

/* Start it, with a limit of 256 MiB for direct buffers, unless it runs.  If
 * there is none the implementation is absent. */
void peer_java_begin(void);

/* Drop so many buffers of so many bytes, touching each page; then collect. */
void peer_java_drop(size_t size, size_t count);

/* Stop it, if it runs. */
void peer_java_end(void);

#endif
