/* check_mapping.c: mapped files. */

#include "config.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arena/budget.h>
#include <arena/segment.h>

#include "gc_harness.h"
#include "os.h"

#define PAGE ((size_t)4096)

static arena_t *arena;
static int file; /* of 10000 bytes that fill_block(seed 1) gives */
static unsigned char contents[10000];

static void
setup(void)
{
    arena = arena_confined();
    file = memfd_create("mapping", MFD_CLOEXEC);
    ck_assert_int_ge(file, 0);
    fill_block(contents, sizeof contents, 1);
    ck_assert_int_eq(write(file, contents, sizeof contents),
                     sizeof contents);
}

static void
teardown(void)
{
    (void)arena_close(arena);
    close(file);
}

static size_t
file_size(void)
{
    return (size_t)lseek(file, 0, SEEK_END);
}

/* Bytes of address space in use. */
static size_t
virtual_now(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    size_t pages = 0;

    ck_assert_int_eq(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages * 4096;
}

static arena_segment_t
map(off_t offset, size_t size, unsigned mode)
{
    arena_segment_t s;

    expect_ok(arena_map(arena, file, offset, size, mode, &s));
    return s;
}

/* --- Mapping --- */

START_TEST(test_map_shows_the_file_at_any_offset)
{
    static const unsigned modes[] = {
        ARENA_MAP_READ, ARENA_MAP_WRITE, ARENA_MAP_PRIVATE,
        ARENA_MAP_READ | ARENA_MAP_TRUSTED};
    static const off_t offsets[] = {0, 1, 4095, 4096, 5003, 9999};
    unsigned char got[10000];

    for (size_t i = 0; i < LENGTH(modes) * LENGTH(offsets); i++) {
        off_t offset = offsets[i / LENGTH(modes)];
        size_t size = sizeof contents - (size_t)offset;
        arena_segment_t s = map(offset, size, modes[i % LENGTH(modes)]);

        ck_assert_uint_eq(s.size, size);
        ck_assert_uint_eq((uintptr_t)s.addr % 4096, (size_t)offset % 4096);
        expect_ok(arena_get_bytes(&s, 0, got, size));
        ck_assert_mem_eq(got, contents + offset, size);
        expect_fail(arena_get_bytes(&s, 0, got, size + 1), ERANGE, "");
    }
}
END_TEST

START_TEST(test_map_is_counted_whatever_the_arena_has)
{
    for (int blocks = 0; blocks < 3; blocks++) {
        size_t bytes;

        for (int i = 0; i < blocks; i++)
            expect_ok(arena_alloc(arena, PAGE - 200));
        bytes = arena_bytes(arena);
        map(0, 5000, ARENA_MAP_READ);
        ck_assert_uint_eq(arena_bytes(arena), bytes + PAGE);
        expect_ok(arena_alloc(arena, 100 * KIB));
        ck_assert_uint_ge(arena_bytes(arena), bytes + PAGE + 100 * KIB);
        expect_ok(arena_close(arena));
        expect_ok(arena = arena_confined());
    }
}
END_TEST

START_TEST(test_map_read_cannot_be_written)
{
    arena_segment_t s = map(0, 100, ARENA_MAP_READ);

    expect_fail(arena_set_u8(&s, 0, 1), EACCES, "");
    expect_fail(arena_segment_fill(&s, 1), EACCES, "");
    expect_ok(arena_segment_of(s.addr, &s));
    expect_fail(arena_set_u8(&s, 0, 1), EACCES, "");
}
END_TEST

START_TEST(test_map_write_goes_to_the_file)
{
    arena_segment_t s = map(5003, 1000, ARENA_MAP_WRITE);
    uint8_t byte;

    expect_ok(arena_set_u8(&s, 10, contents[5013] ^ 1));
    expect_ok(arena_map_sync(&s));
    ck_assert_int_eq(pread(file, &byte, 1, 5013), 1);
    ck_assert_uint_eq(byte, contents[5013] ^ 1);
}
END_TEST

START_TEST(test_map_private_does_not)
{
    arena_segment_t s = map(5003, 1000, ARENA_MAP_PRIVATE);
    uint8_t byte;

    expect_ok(arena_set_u8(&s, 10, contents[5013] ^ 1));
    expect_ok(arena_map_sync(&s));
    expect_ok(arena_map_advise(&s, ARENA_ADVICE_DONTNEED));
    expect_ok(arena_get_u8(&s, 10, &byte));
    ck_assert_uint_eq(byte, contents[5013] ^ 1);
    ck_assert_int_eq(pread(file, &byte, 1, 5013), 1);
    ck_assert_uint_eq(byte, contents[5013]);
}
END_TEST

START_TEST(test_map_past_the_end_makes_longer_or_fails)
{
    arena_usage_t before = usage_now();
    arena_segment_t s;

    expect_fail(arena_map(arena, file, 9000, 1001, ARENA_MAP_READ, &s),
                ERANGE, "10000");
    expect_fail(arena_map(arena, file, 9000, 1001, ARENA_MAP_PRIVATE, &s),
                ERANGE, "");
    ck_assert_uint_eq(file_size(), 10000);
    expect_usage(before);
    s = map(20000, 5, ARENA_MAP_WRITE);
    ck_assert_uint_eq(file_size(), 20005);
    expect_ok(arena_set_bytes(&s, 0, "hello", 5));
}
END_TEST

START_TEST(test_map_outlives_the_descriptor)
{
    int other = dup(file);
    arena_segment_t s;
    uint8_t byte;

    expect_ok(arena_map(arena, other, 0, 10, ARENA_MAP_READ, &s));
    close(other);
    expect_ok(arena_get_u8(&s, 3, &byte));
    ck_assert_uint_eq(byte, contents[3]);
}
END_TEST

START_TEST(test_map_size_0_is_empty)
{
    arena_usage_t before = usage_now();
    arena_segment_t s = map(77, 0, ARENA_MAP_READ);
    uint8_t byte;
    size_t bytes = 1;

    ck_assert_uint_eq(s.size, 0);
    expect_fail(arena_get_u8(&s, 0, &byte), ERANGE, "");
    expect_ok(arena_map_sync(&s));
    expect_ok(arena_map_resident(&s, &bytes));
    ck_assert_uint_eq(bytes, 0);
    expect_usage(before);
}
END_TEST

START_TEST(test_map_bad_arguments_fail_in_order)
{
    arena_usage_t before = usage_now();
    arena_segment_t s;
    int closed = dup(file);

    close(closed);
    expect_fail(arena_map(NULL, file, 0, 1, 0, &s), EINVAL, "");
    expect_fail(arena_map(arena, file, 0, 1, 0, NULL), EINVAL, "");
    expect_fail(arena_map(arena, file, 0, 1, 3, &s), EINVAL, "3");
    expect_fail(arena_map(arena, file, -1, 1, 0, &s), EINVAL, "-1");
    expect_fail(arena_map(arena_implicit(), file, -1, 1, 0, &s), EINVAL, "");
    expect_fail(arena_map(arena_implicit(), file, 0, 1, 0, &s), ENOTSUP, "");
    expect_fail(arena_map(arena, closed, 0, 1, 0, &s), EBADF, "");
    expect_fail(arena_map(arena, file, 0, SIZE_MAX, 0, &s), ENOMEM, "");
    expect_usage(before);
    expect_ok(arena_close(arena));
    expect_fail(arena_map(arena, closed, 0, 1, 0, &s), ESTALE, "");
}
END_TEST

START_TEST(test_map_descriptor_for_reading_cannot_be_written)
{
    char path[] = "/tmp/check_mappingXXXXXX";
    int both = mkstemp(path), reads = open(path, O_RDONLY);
    arena_usage_t before = usage_now();
    arena_segment_t s;

    unlink(path);
    ck_assert_int_eq(write(both, contents, 100), 100);
    expect_fail(arena_map(arena, reads, 0, 10, ARENA_MAP_WRITE, &s), EACCES,
                "");
    ck_assert_uint_eq(usage_now().mapped.count, before.mapped.count);
    expect_ok(arena_map(arena, reads, 0, 10, ARENA_MAP_READ, &s));
    close(both);
    close(reads);
}
END_TEST

/* Too little of the arena's limit is left for a mapping. */
START_TEST(test_map_that_fails_leaves_the_file_as_it_was)
{
    arena_options_t options = ARENA_OPTIONS_INIT;
    arena_segment_t s;
    arena_t *small;
    char path[] = "/tmp/check_mappingXXXXXX";
    int both = mkstemp(path), reads = open(path, O_RDONLY);

    unlink(path);
    options.limit = 1000;
    small = arena_open(ARENA_CONFINED, &options);
    expect_fail(arena_map(small, file, 20000, 5, ARENA_MAP_WRITE, &s),
                ENOMEM, "1000");
    ck_assert_uint_eq(file_size(), 10000);
    expect_fail(arena_map(arena, reads, 0, 10, ARENA_MAP_WRITE, &s), EACCES,
                "");
    expect_fail(arena_map(arena_auto(), reads, 0, 10, ARENA_MAP_WRITE, &s),
                EACCES, "");
    ck_assert_int_eq(lseek(both, 0, SEEK_END), 0);
    expect_ok(arena_close(small));
    close(both);
    close(reads);
}
END_TEST

/* It cannot be made longer: nothing stays mapped. */
START_TEST(test_map_of_a_sealed_file_fails)
{
    arena_usage_t before = usage_now();
    int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    arena_t *of = arena_auto();
    arena_segment_t s;

    ck_assert_int_eq(fcntl(sealed, F_ADD_SEALS, F_SEAL_GROW), 0);
    expect_fail(arena_map(arena, sealed, 0, 10, ARENA_MAP_WRITE, &s), EPERM,
                "longer");
    expect_fail(arena_map(of, sealed, 0, 10, ARENA_MAP_WRITE, &s), EPERM,
                "longer");
    ck_assert_uint_eq(usage_now().mapped.count, before.mapped.count);
    ck_assert_uint_eq(usage_now().mapped.reserved, before.mapped.reserved);
    arena_keep_alive(of);
    close(sealed);
}
END_TEST

struct growth {
    arena_t *arena;
    atomic_size_t faults;
};

static void
growth_prepare(void *state, size_t round)
{
    struct growth *growth = state;

    (void)round;
    growth->arena = arena_shared();
    ck_assert_int_eq(ftruncate(file, 0), 0);
}

static void
growth_body(void *state, size_t index)
{
    struct growth *growth = state;
    arena_segment_t s;

    if (arena_map(growth->arena, file, 0, (index + 1) * 5000, ARENA_MAP_WRITE,
                  &s)
        != 0)
        atomic_fetch_add(&growth->faults, 1);
}

static void
growth_verify(void *state, size_t round)
{
    struct growth *growth = state;

    (void)round;
    ck_assert_uint_eq(atomic_load(&growth->faults), 0);
    ck_assert_uint_eq(file_size(), 20000);
    expect_ok(arena_close(growth->arena));
}

/* Who makes a file longer never makes it shorter for another. */
START_TEST(test_map_makes_longer_beside_others)
{
    struct growth growth = {NULL, 0};
    struct race race = {4, 300, growth_prepare, growth_body, growth_verify,
                        &growth};

    run_race(&race);
}
END_TEST

static int
map_in(arena_t *of)
{
    arena_segment_t s;

    return arena_map(of, file, 0, 10, ARENA_MAP_READ, &s);
}

START_TEST(test_map_in_another_thread_fails_eperm)
{
    struct answer answer = ask_in_thread(map_in, arena);

    expect_answer(&answer, EPERM, "");
    expect_ok(arena_close(arena));
}
END_TEST

/* --- Unmapping --- */

START_TEST(test_close_unmaps_and_gives_back)
{
    arena_usage_t before;
    arena_segment_t s;
    uint8_t byte;

    expect_ok(arena_close(arena));
    before = usage_now();
    arena = arena_confined();
    s = map(5, 100, ARENA_MAP_READ);
    ck_assert_uint_eq(usage_now().mapped.reserved,
                      before.mapped.reserved + 105);
    ck_assert_uint_eq(usage_now().mapped.requested,
                      before.mapped.requested + 100);
    ck_assert_uint_eq(usage_now().mapped.count, before.mapped.count + 1);
    ck_assert_ptr_eq(arena_of(s.addr), arena);
    expect_ok(arena_close(arena));
    expect_usage(before);
    ck_assert_ptr_null(arena_of(s.addr));
    expect_fail(arena_get_u8(&s, 0, &byte), ESTALE, "");
    ck_assert(!arenap_os_copy(&byte, s.addr, 1));
}
END_TEST

START_TEST(test_rewind_and_reset_unmap)
{
    arena_usage_t before = usage_now();
    arena_segment_t s, kept = map(0, 10, ARENA_MAP_READ);
    arena_mark_t mark;
    uint8_t byte;

    expect_ok(arena_mark(arena, &mark));
    s = map(0, 10, ARENA_MAP_READ);
    expect_ok(arena_rewind(arena, mark));
    expect_fail(arena_get_u8(&s, 0, &byte), ESTALE, "");
    expect_ok(arena_get_u8(&kept, 0, &byte));
    ck_assert_uint_eq(usage_now().mapped.count, before.mapped.count + 1);
    expect_ok(arena_reset(arena));
    expect_fail(arena_get_u8(&kept, 0, &byte), ESTALE, "");
    ck_assert_uint_eq(usage_now().mapped.count, before.mapped.count);
}
END_TEST

static void *
map_garbage(void *unused)
{
    for (int i = 0; i < 100; i++) {
        arena_t *of = arena_auto();
        arena_segment_t s;
        uint8_t byte;

        if (arena_map(of, file, 5, 100, ARENA_MAP_WRITE, &s) != 0
            || arena_get_u8(&s, 1, &byte) != 0 || byte != contents[6])
            return NULL;
    }
    return unused;
}

START_TEST(test_auto_arenas_unmap_when_unreachable)
{
    arena_usage_t before = usage_now();

    ck_assert_ptr_nonnull(run_in_thread(map_garbage, &before));
    collect_times(4);
    ck_assert_uint_le(usage_now().mapped.count, before.mapped.count + 2);
}
END_TEST

static arena_t *
map_some(arena_t *of, size_t size)
{
    arena_segment_t s;

    return arena_map(of, file, 0, size, ARENA_MAP_READ, &s) == 0 ? of : NULL;
}

static void *
map_much(void *faults)
{
    for (int i = 0; i < 400; i++)
        if (map_some(arena_auto(), 32 * MIB) == NULL)
            ++*(int *)faults;
    return NULL;
}

/* Room for 32 at a time, of which the stack may keep some. */
START_TEST(test_address_space_of_garbage_is_used_again)
{
    struct rlimit limit;
    int faults = 0;

    if (malloc_is_replaced() || getenv("GC_DONT_GC") != NULL)
        return;
    ck_assert_int_eq(ftruncate(file, (off_t)(32 * MIB)), 0);
    ck_assert_ptr_nonnull(map_some(arena_auto(), 10));
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = virtual_now() + 1100 * MIB;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    run_in_thread(map_much, &faults);
    ck_assert_int_eq(faults, 0);
}
END_TEST

/* --- A file that becomes shorter --- */

static void
expect_gone(const arena_segment_t *s)
{
    unsigned char bytes[64];
    arena_segment_t here;
    size_t length;
    uint32_t number;

    expect_ok(arena_segment(arena, 10000, 1, &here));
    expect_fail(arena_get_u32(s, 8192, &number), EIO, "shorter");
    expect_fail(arena_get_bytes(s, 9000, bytes, sizeof bytes), EIO, "");
    expect_fail(arena_get_array(s, 8192, bytes, 4, 4, ARENA_BIG_ENDIAN), EIO,
                "");
    expect_fail(arena_segment_copy(&here, 0, s, 0, 10000), EIO, "");
    ck_assert(block_is_zero(here.addr, 10000));
    ck_assert_int_eq(arena_segment_mismatch(s, s), -2);
    ck_assert_int_eq(errno, EIO);
    expect_fail(arena_string_length(s, 8200, 1, &length), EIO, "");
    expect_fail(arena_atomic_load_u32(s, 8192, &number), EIO, "");
    if ((s->flags & ARENA_SEGMENT_READ_ONLY) != 0)
        return;
    expect_fail(arena_set_u32(s, 8192, 1), EIO, "");
    expect_fail(arena_segment_fill(s, 1), EIO, "");
    expect_fail(arena_segment_copy(s, 0, &here, 0, 10000), EIO, "");
    expect_fail(arena_atomic_store_u32(s, 8192, 1), EIO, "");
    expect_ok(arena_get_bytes(s, 0, bytes, sizeof bytes));
    ck_assert_mem_eq(bytes, contents, sizeof bytes);
}

START_TEST(test_shorter_file_is_a_fault)
{
    arena_segment_t reads = map(0, 10000, ARENA_MAP_READ);
    arena_segment_t writes = map(0, 10000, ARENA_MAP_WRITE);

    ck_assert_int_eq(ftruncate(file, 5000), 0);
    expect_gone(&reads);
    expect_gone(&writes);
    ck_assert_int_eq(ftruncate(file, 10000), 0);
    expect_ok(arena_segment_fill(&writes, 3));
}
END_TEST

START_TEST(test_shorter_file_is_a_fault_to_buffers)
{
    arena_segment_t s = map(0, 10000, ARENA_MAP_WRITE);
    arena_buffer_t *buffer;
    uint32_t number;
    uint8_t byte;

    expect_ok(buffer = arena_buffer_of_segment(&s));
    expect_ok(arena_buffer_get_u8_at(buffer, 9000, &byte));
    ck_assert_uint_eq(byte, contents[9000]);
    ck_assert_int_eq(ftruncate(file, 5000), 0);
    expect_fail(arena_buffer_get_u32_at(buffer, 8192, &number), EIO,
                "shorter");
    expect_fail(arena_buffer_put_u8_at(buffer, 9999, 1), EIO, "");
    ck_assert_int_eq(arena_buffer_mismatch(buffer, buffer), -2);
    ck_assert_int_eq(errno, EIO);
    expect_ok(arena_buffer_get_u8(buffer, &byte));
}
END_TEST

START_TEST(test_shorter_file_is_a_fault_to_descriptors)
{
    arena_segment_t s = map(0, 10000, ARENA_MAP_WRITE);
    int zeroes = open("/dev/zero", O_RDONLY), ends[2];
    arena_buffer_t *buffer;

    ck_assert_int_ne(zeroes, -1);
    ck_assert_int_eq(pipe(ends), 0);
    expect_ok(buffer = arena_buffer_of_segment(&s));
    ck_assert_int_eq(ftruncate(file, 0), 0);
    expect_fail((int)arena_buffer_write_fd(buffer, ends[1]), EIO, "shorter");
    expect_fail((int)arena_buffer_read_fd(buffer, zeroes), EIO, "shorter");
    ck_assert_int_eq(ftruncate(file, 10000), 0);
    ck_assert_int_eq(arena_buffer_read_fd(buffer, zeroes), 10000);
    close(zeroes);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(test_shorter_file_cannot_be_synced)
{
    arena_segment_t s = map(0, 10000, ARENA_MAP_WRITE), first;

    expect_ok(arena_segment_slice(&s, 0, 4096, &first));
    ck_assert_int_eq(ftruncate(file, 4096), 0);
    expect_fail(arena_map_sync(&s), EIO, "shorter");
    expect_ok(arena_map_sync(&first));
    ck_assert_int_eq(ftruncate(file, 10000), 0);
    expect_ok(arena_map_sync(&s));
}
END_TEST

START_TEST(test_string_ends_before_what_is_gone)
{
    arena_segment_t s = map(0, 10000, ARENA_MAP_WRITE);
    size_t length;

    expect_ok(arena_segment_fill(&s, 'x'));
    expect_ok(arena_set_u16_unaligned(&s, 8187, 0));
    ck_assert_int_eq(ftruncate(file, 8192), 0);
    expect_ok(arena_string_length(&s, 1, 1, &length));
    ck_assert_uint_eq(length, 8186);
    expect_ok(arena_string_length(&s, 1, 2, &length));
    ck_assert_uint_eq(length, 4093);
    expect_fail(arena_string_length(&s, 2, 2, &length), EIO, "");
}
END_TEST

/* --- The rest --- */

START_TEST(test_copies_between_mappings_of_one_file)
{
    arena_segment_t a = map(0, 10000, ARENA_MAP_WRITE);
    unsigned char *model = malloc(10000), got[10000];

    memcpy(model, contents, 10000);
    memmove(model + 100, model, 9000);
    expect_ok(arena_segment_copy(&a, 100, &a, 0, 9000));
    memmove(model, model + 30, 9970);
    expect_ok(arena_segment_copy(&a, 0, &a, 30, 9970));
    expect_ok(arena_get_bytes(&a, 0, got, 10000));
    ck_assert_mem_eq(got, model, 10000);
    ck_assert_int_eq(arena_segment_mismatch(&a, &a), -1);
    free(model);
}
END_TEST

START_TEST(test_map_larger_than_4_gib)
{
    size_t size = ((size_t)5 << 30) + 12345;
    arena_segment_t s = map(1, size, ARENA_MAP_WRITE);
    uint64_t number;

    expect_ok(arena_set_u64_unaligned(&s, size - 8, 4711));
    expect_ok(arena_get_u64_unaligned(&s, size - 8, &number));
    ck_assert_uint_eq(number, 4711);
    ck_assert_uint_eq(file_size(), size + 1);
    expect_fail(arena_get_u64_unaligned(&s, size - 7, &number), ERANGE, "");
}
END_TEST

START_TEST(test_discard_leaves_locked_pages_alone)
{
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(pages, MAP_FAILED);
    memset(pages, 'x', 3 * PAGE);
    arenap_os_discard(pages + 1, 2 * PAGE);
    ck_assert_int_eq(pages[PAGE], 0);
    ck_assert_int_eq(pages[PAGE - 1], 'x');
    ck_assert_int_eq(pages[2 * PAGE], 'x');
    /* Sanitizers make mlock itself do nothing. */
    if (syscall(SYS_mlock, pages + 2 * PAGE, PAGE) == 0) {
        arenap_os_discard(pages + 2 * PAGE, PAGE);
        ck_assert_int_eq(pages[2 * PAGE], 'x');
        arenap_os_clear(pages + 2 * PAGE, PAGE);
        ck_assert_int_eq(pages[2 * PAGE], 0);
    }
    munmap(pages, 3 * PAGE);
}
END_TEST

START_TEST(test_resident_counts_bytes)
{
    arena_segment_t s = map(5, 9000, ARENA_MAP_WRITE);
    size_t bytes = 0;

    expect_ok(arena_segment_fill(&s, 1));
    expect_ok(arena_map_resident(&s, &bytes));
    ck_assert_uint_eq(bytes, 9000);
    for (int advice = 0; advice <= ARENA_ADVICE_DONTNEED; advice++)
        expect_ok(arena_map_advise(&s, (arena_advice_t)advice));
    expect_fail(arena_map_advise(&s, (arena_advice_t)5), EINVAL, "5");
    expect_fail(arena_map_resident(&s, NULL), EINVAL, "");
}
END_TEST

START_TEST(test_only_mapped_segments_are_synced)
{
    arena_segment_t s, mapping = map(0, 10, ARENA_MAP_READ);
    size_t bytes;

    expect_ok(arena_segment(arena, 10, 1, &s));
    expect_fail(arena_map_sync(&s), ENOTSUP, "");
    expect_fail(arena_map_resident(&s, &bytes), ENOTSUP, "");
    expect_fail(arena_map_advise(&s, ARENA_ADVICE_NORMAL), ENOTSUP, "");
    expect_fail(arena_map_sync(NULL), EINVAL, "");
    expect_ok(arena_close(arena));
    expect_fail(arena_map_sync(&s), ENOTSUP, "");
    expect_fail(arena_map_sync(&mapping), ESTALE, "");
}
END_TEST

static arena_segment_t of_shared;

static int
sync_it(arena_t *unused)
{
    (void)unused;
    return arena_map_sync(&of_shared);
}

/* A failed call leaves nothing behind that would keep the arena open. */
START_TEST(test_sync_elsewhere_fails_and_close_succeeds)
{
    arena_t *shared = arena_shared();
    struct answer answer;

    of_shared = map(0, 10, ARENA_MAP_READ);
    answer = ask_in_thread(sync_it, arena);
    expect_answer(&answer, EPERM, "");
    expect_ok(arena_map(shared, file, 0, 10, ARENA_MAP_WRITE, &of_shared));
    answer = ask_in_thread(sync_it, shared);
    expect_success(&answer);
    expect_ok(arena_close(shared));
    answer = ask_in_thread(sync_it, shared);
    expect_answer(&answer, ESTALE, "");
    expect_ok(arena_close(arena));
}
END_TEST

static Suite *
mapping_suite(void)
{
    Suite *s = suite_create("mapping");
    TCase *maps = tcase_create("map"), *unmaps = tcase_create("unmap");
    TCase *shorter = tcase_create("shorter"), *uses = tcase_create("use");

    tcase_add_checked_fixture(maps, setup, teardown);
    tcase_add_test(maps, test_map_shows_the_file_at_any_offset);
    tcase_add_test(maps, test_map_is_counted_whatever_the_arena_has);
    tcase_add_test(maps, test_map_read_cannot_be_written);
    tcase_add_test(maps, test_map_write_goes_to_the_file);
    tcase_add_test(maps, test_map_private_does_not);
    tcase_add_test(maps, test_map_past_the_end_makes_longer_or_fails);
    tcase_add_test(maps, test_map_outlives_the_descriptor);
    tcase_add_test(maps, test_map_size_0_is_empty);
    tcase_add_test(maps, test_map_bad_arguments_fail_in_order);
    tcase_add_test(maps, test_map_descriptor_for_reading_cannot_be_written);
    tcase_add_test(maps, test_map_that_fails_leaves_the_file_as_it_was);
    tcase_add_test(maps, test_map_of_a_sealed_file_fails);
    tcase_add_test(maps, test_map_makes_longer_beside_others);
    tcase_add_test(maps, test_map_in_another_thread_fails_eperm);
    suite_add_tcase(s, maps);

    tcase_add_checked_fixture(unmaps, setup, teardown);
    tcase_add_test(unmaps, test_close_unmaps_and_gives_back);
    tcase_add_test(unmaps, test_rewind_and_reset_unmap);
    tcase_add_test(unmaps, test_auto_arenas_unmap_when_unreachable);
    tcase_add_test(unmaps, test_address_space_of_garbage_is_used_again);
    suite_add_tcase(s, unmaps);

    tcase_add_checked_fixture(shorter, setup, teardown);
    tcase_add_test(shorter, test_shorter_file_is_a_fault);
    tcase_add_test(shorter, test_shorter_file_is_a_fault_to_buffers);
    tcase_add_test(shorter, test_shorter_file_is_a_fault_to_descriptors);
    tcase_add_test(shorter, test_shorter_file_cannot_be_synced);
    tcase_add_test(shorter, test_string_ends_before_what_is_gone);
    suite_add_tcase(s, shorter);

    tcase_add_checked_fixture(uses, setup, teardown);
    tcase_add_test(uses, test_copies_between_mappings_of_one_file);
    tcase_add_test(uses, test_map_larger_than_4_gib);
    tcase_add_test(uses, test_resident_counts_bytes);
    tcase_add_test(uses, test_discard_leaves_locked_pages_alone);
    tcase_add_test(uses, test_only_mapped_segments_are_synced);
    tcase_add_test(uses, test_sync_elsewhere_fails_and_close_succeeds);
    suite_add_tcase(s, uses);
    return s;
}

int
main(void)
{
    return run_suite(mapping_suite());
}
