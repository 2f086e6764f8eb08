/*
 * cases.h - all cases, in the order in which they run.
 */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "bench.h"

extern const struct bench_case case_confined;
extern const struct bench_case case_open_close;
extern const struct bench_case case_grid;
extern const struct bench_case case_shared;
extern const struct bench_case case_auto;
extern const struct bench_case case_implicit;
extern const struct bench_case case_malloc;
extern const struct bench_case case_pause;
extern const struct bench_case case_limit;
extern const struct bench_case case_slots;
extern const struct bench_case case_dropped;
extern const struct bench_case case_cleaners;
extern const struct bench_case case_buffer;
extern const struct bench_case case_phantom;
extern const struct bench_case case_segment;
extern const struct bench_case case_serialize;

static const struct bench_case *const cases[] = {
    &case_confined, &case_open_close, &case_grid,    &case_shared,
    &case_auto,     &case_implicit,   &case_malloc,  &case_pause,
    &case_limit,    &case_slots,      &case_dropped, &case_cleaners,
    &case_buffer,   &case_phantom,    &case_segment, &case_serialize,
};

#endif
