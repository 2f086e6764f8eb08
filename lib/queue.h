/* queue.h: queues of phantoms.  All under the lock of records. */
#ifndef ARENA_LIB_QUEUE_H
#define ARENA_LIB_QUEUE_H

#include "record.h"

/* Is there a queue, and is it not freed? */
bool arenap_queue_is_open(const arena_queue_t *queue);

/* A phantom of the queue was made. */
void arenap_queue_join(arena_queue_t *queue);

/* Put a phantom into its open queue, and wake a waiter. */
void arenap_queue_append(record_t *phantom);

/* Take it out again. */
void arenap_queue_cut(record_t *phantom);

/* A phantom of the queue is freed; queue may be NULL.  Returns what is to be
 * free()d when the lock is no longer held. */
void *arenap_queue_leave(arena_queue_t *queue);

#endif
