/*
 * peer_java.h - a JDK, if there is one: in $JAVA_HOME, or java on the PATH.
 * It runs beside the implementation's process as a program of its own, which
 * is told what to do and answers when it has done so.
 */
#ifndef PEER_JAVA_H
#define PEER_JAVA_H

#include "bench.h"

/* Arenas, which JDKs have since version 22; else the implementation is
 * absent. */
void peer_java_begin_arenas(const struct bench_work *work);
void peer_java_confined(const struct bench_work *work, size_t loops);
void peer_java_slicing(const struct bench_work *work, size_t loops);
void peer_java_shared(const struct bench_work *work, size_t loops);
void peer_java_auto(const struct bench_work *work, size_t loops);

/* Direct buffers and cleaners, with a limit of so many bytes for buffers. */
void peer_java_begin_buffers(size_t limit);

/* Drop so many buffers of the work's size, touching each page; collect. */
void peer_java_drop(const struct bench_work *work, size_t count);

/* The work of that name in JdkBuffers.java, which finds the figures. */
void peer_java_measure(const char *name, const struct bench_work *work,
                       double number, double figures[BENCH_FIGURES]);

/* The same, of as many threads as the work says, for so long. */
void peer_java_contend(const char *name, const struct bench_work *work,
                       double length_ns, double figures[BENCH_FIGURES]);

#endif
