/*
 * pointee.h: what is known of the memory that a pointer of a value leads to.
 * Memory that is not the library's is trusted.
 */
#ifndef ARENA_LIB_POINTEE_H
#define ARENA_LIB_POINTEE_H

#include "internal.h"

/* May size bytes be read?  0; or an errno: EPERM, ESTALE; ERANGE: memory of
 * ours that ends before. */
int arenap_pointee_readable(const char *src, size_t size);

/* The length of a string, likewise. */
int arenap_pointee_string(const char *src, size_t *length);

#endif
