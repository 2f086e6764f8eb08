/*
 * arena/phantom.h - being told of the death of collected memory: phantom
 * references, queues, cleaners.
 *
 * A referent is any collected memory: an auto arena (or a pointer into it), a
 * block of the implicit arena, a direct buffer or a view of one, a block of
 * arena_malloc, or an object of a program's own use of libgc.  A pointer into
 * the middle stands for the whole.
 * All that watch one referent are told; chains and cycles of dead memory are
 * told in one collection; and nothing here keeps a referent alive or brings
 * it back: when you are told, it is gone.  An object that has a finalizer of
 * its own (GC_register_finalizer) is told one collection later, when its
 * finalizer has run and it is really gone.  An auto arena with close actions
 * is told in the collection that finds it dead, which runs these too.
 *
 * What is found dead is found by collections, whoever asks for them.  After
 * arena_collect() everything that it found is in its queue, and the actions
 * have run.  arena_free of a referent, an arena_realloc or arena_resize that
 * moves it, and arena_buffer_free tell at once (the last one those who watch
 * the buffer, not those who watch a view).  An object that the program frees
 * by GC_free must be let go of first, by arena_phantom_clear or arena_clean.
 *
 * data and arg are held: what they point to is kept alive until the phantom
 * is freed or the action has run.  One that leads back to the referent through
 * other memory therefore keeps it for ever; one that points straight into it
 * is refused.
 *
 * The models are PhantomReference, ReferenceQueue and Cleaner of the JDK (9
 * and later), and where C differs, this file says so.  man arena_phantom_new.
 */
#ifndef ARENA_PHANTOM_H
#define ARENA_PHANTOM_H

#include "../arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A phantom reference: it knows whether its referent lives, and cannot be
 *  asked for it.  To be freed by arena_phantom_free.  Opaque. */
typedef struct arena_phantom arena_phantom_t;

/** A queue of phantoms whose referents are gone, first in first out.
 *  Opaque. */
typedef struct arena_queue arena_queue_t;

/** A registered action.  No address but a number: it need not be freed, and
 *  one whose action has run is recognised. */
typedef struct arena_cleanable arena_cleanable_t;

/* --- Phantom references ------------------------------------------------ */

/**
 * Watch a referent: when it is found dead, the phantom goes to the queue,
 * once.
 *
 * @param referent  points into collected memory; or NULL: a phantom that is
 *                  cleared from the start
 * @param queue     or NULL: it is cleared, and goes nowhere
 * @param data      anything, for arena_phantom_data; held until the phantom is
 *                  freed
 *
 * @return the phantom; or NULL with errno set:
 *         EINVAL   referent is not collected memory; data points into it
 *         ENOTSUP  the collector cannot be used in this process
 *         ENOMEM   the system refused
 *
 * Threads:  any; attaches the calling thread.
 * Lifetime: until arena_phantom_free, whoever holds it: the library knows all
 *           phantoms, and none is lost because its program forgot it (the
 *           JDK's PhantomReference is).
 * Collects: may.
 */
ARENA_API arena_phantom_t *arena_phantom_new(const void *referent,
                                             arena_queue_t *queue, void *data);

/** Is this its referent?  When ptr is NULL: has it none any more, because it
 *  was cleared, enqueued, or found dead?  A pointer into the referent will do.
 *  When phantom is NULL, false.
 *  Threads: any.  Collects: never.
 *  As Reference.refersTo of the JDK. */
ARENA_C99_ ARENA_API bool
arena_phantom_refers_to(const arena_phantom_t *phantom, const void *ptr);

/** The data that it was made with; of no phantom, NULL.
 *  Threads: any.  Collects: never. */
ARENA_API void *arena_phantom_data(const arena_phantom_t *phantom);

/** Let go of the referent: the collector will not enqueue the phantom any
 *  more; arena_phantom_enqueue still can.  NULL: nothing.
 *  Threads: any; attaches the calling thread.  Collects: never.
 *  As Reference.clear of the JDK. */
ARENA_API void arena_phantom_clear(arena_phantom_t *phantom);

/** Let go of the referent, in any case, and put the phantom into its queue.
 *  @return true once: in one of all threads that try, and if the collector
 *          was not faster.  False: it was enqueued before, has no queue, or
 *          its queue is freed.  When phantom is NULL, false with errno
 *          EINVAL.
 *  Threads: any; attaches the calling thread.  Collects: never.
 *  As Reference.enqueue of the JDK. */
ARENA_C99_ ARENA_API bool arena_phantom_enqueue(arena_phantom_t *phantom);

/** Free a phantom, in whatever state; one in a queue leaves it.  Nobody may
 *  use it after that.  NULL: nothing.
 *  Threads: any; attaches the calling thread.  Collects: never. */
ARENA_API void arena_phantom_free(arena_phantom_t *phantom);

/* --- Queues ------------------------------------------------------------ */

/** A queue.
 *  @return the queue, to be freed by arena_queue_free; or NULL with errno
 *          ENOMEM.
 *  Threads: any.  Collects: never. */
ARENA_API arena_queue_t *arena_queue_new(void);

/** Free a queue.  Its phantoms stay: those in it are taken out, and they and
 *  those that are not in it yet have no queue from now on.  Threads that wait
 *  in arena_queue_remove get NULL with errno ESTALE; none may come later.
 *  NULL: nothing.
 *  Threads: any.  Collects: never. */
ARENA_API void arena_queue_free(arena_queue_t *queue);

/** Take the first phantom; takes no lock when there is none, but waits for a
 *  collection that is running.
 *  @return the phantom, which is the caller's to free; or NULL, errno
 *          untouched: the queue is empty.  EINVAL: queue is NULL.
 *  Threads: any.  Collects: never. */
ARENA_API arena_phantom_t *arena_queue_poll(arena_queue_t *queue);

/**
 * Take the first phantom, or wait for one.
 *
 * What the program wrote before it enqueued a phantom, or let go of its
 * referent, is seen by who takes it.  Several threads may wait: each phantom
 * goes to one.
 *
 * @param timeout_ms  milliseconds; below 0: for ever; 0: as arena_queue_poll.
 *                    (In the JDK 0 is for ever.)
 *
 * @return the phantom, which is the caller's to free; or NULL: the time is
 *         over, never early, errno untouched; or with errno set:
 *         EINVAL  queue is NULL
 *         ESTALE  the queue was freed meanwhile
 *
 * Threads:  any.  Signals do not cut it short.
 * Collects: never; who waits for a death needs somebody who collects.
 */
ARENA_API arena_phantom_t *arena_queue_remove(arena_queue_t *queue,
                                              int timeout_ms);

/* --- Cleaners ---------------------------------------------------------- */

/**
 * Have an action called when a referent is dead.
 *
 * The action is called at most once, with arg, on the library's cleaner
 * thread, one after the other in the order of being found dead: one that
 * blocks holds up those behind it.  (While one waits for memory of the budget,
 * others run, on another thread of the library's: they may give some back.)
 * It may call everything, this too.  It must not need its referent, which is
 * gone.  Actions of referents that live when
 * the program ends are not called.
 *
 * @param referent  points into collected memory
 * @param action    called once
 * @param arg       for it; held until it has run
 *
 * @return a number for arena_clean, which can be forgotten: that does not
 *         cancel the action; or NULL with errno set:
 *         EINVAL   referent is NULL or not collected memory; action is NULL;
 *                  arg points into the referent
 *         ENOTSUP  the collector cannot be used in this process
 *         ENOMEM   the system refused
 *
 * Threads:  any; attaches the calling thread.
 * Collects: may.
 * As java.lang.ref.Cleaner.register of the JDK, with one thread for all.
 */
ARENA_API arena_cleanable_t *
arena_cleaner_register(const void *referent, void (*action)(void *),
                       void *arg);

/** Call the action now, on this thread, if it has not been called, in one of
 *  all threads that try; it is unregistered first.
 *  @return 0, also when it has run, or runs, elsewhere; or -1 with errno
 *          EINVAL: no cleanable.
 *  Threads: any; attaches the calling thread.  Collects: never by itself.
 *  As Cleaner.Cleanable.clean of the JDK. */
ARENA_API int arena_clean(arena_cleanable_t *cleanable);

/** Forget a cleanable; its action stays registered.  A cleanable holds
 *  nothing, so this does nothing, and need not be called.
 *  Threads: any.  Collects: never. */
ARENA_API void arena_cleanable_free(arena_cleanable_t *cleanable);

#ifdef __cplusplus
}
#endif

#endif
