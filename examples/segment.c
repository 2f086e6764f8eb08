/*
 * segment.c: checked memory.  Four threads fill parts of one segment; what
 * goes past its bounds, or comes after the close, is an error, not a crash.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include <arena/segment.h>

#define NUMBERS 100000
#define PARTS 4

/* Each thread's part is a value of its own. */
static arena_segment_t parts[PARTS];

static void *
fill_part(void *arg)
{
    const arena_segment_t *part = arg;

    for (size_t i = 0; i < part->size / sizeof(int32_t); i++)
        if (arena_set_i32_at(part, i, (int32_t)i) != 0)
            return arg;
    return NULL;
}

int
main(void)
{
    arena_t *arena = arena_shared();
    arena_segment_t all;
    pthread_t threads[PARTS];
    int32_t number = 0;
    int64_t sum = 0;

    assert(arena != NULL);
    assert(arena_segment(arena, NUMBERS * sizeof(int32_t), 4, &all) == 0);
    for (size_t i = 0; i < PARTS; i++) {
        assert(arena_segment_split(&all, sizeof(int32_t), PARTS, i, &parts[i])
               == 0);
        assert(pthread_create(&threads[i], NULL, fill_part, &parts[i]) == 0);
    }
    for (size_t i = 0; i < PARTS; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert(failed == NULL);
    }
    for (size_t i = 0; i < NUMBERS; i++) {
        assert(arena_get_i32_at(&all, i, &number) == 0);
        sum += number;
    }
    printf("the sum is %lld\n", (long long)sum);
    assert(sum == (int64_t)PARTS * (25000LL * 24999 / 2));

    assert(arena_get_i32_at(&all, NUMBERS, &number) == -1);
    assert(errno == ERANGE);
    printf("one past the end: %s\n", arena_error());
    assert(arena_close(arena) == 0);
    assert(arena_get_i32_at(&parts[2], 0, &number) == -1 && errno == ESTALE);
    printf("after the close: %s\n", arena_error());
    return 0;
}
