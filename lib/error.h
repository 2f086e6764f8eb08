/* error.h: the thread's last failure. */
#ifndef ARENA_LIB_ERROR_H
#define ARENA_LIB_ERROR_H

/* Set errno and the sentence of arena_error.  Returns -1, to be returned. */
int arenap_fail(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* As arenap_fail, for functions that return a pointer. */
void *arenap_fail_null(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* ENOMEM: the system refused size bytes. */
int arenap_fail_system(unsigned long size);

#endif
