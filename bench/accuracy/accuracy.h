/* The two ways to measure a function. */
#ifndef QUERN_BENCH_ACCURACY_ACCURACY_H
#define QUERN_BENCH_ACCURACY_ACCURACY_H

#include "judge.h"
#include "peers.h"

typedef struct {
    Tally quern, peers[PEER_COUNT], peers_hard[PEER_COUNT]; /* peers: random points, hard cases */
} Result;

/* All 2^32 inputs of a function of one f32. Fills in result->quern. False and a message when a kernel fails. */
bool sweep(Function function, Result *result);

/* The hard cases and count random points; the first peer_count random ones and the hard cases go to the peers, too. with_quern = false: only
   the peers are measured. */
bool measure(Function function, bool single, uint64_t count, uint64_t peer_count, bool with_quern, Result *result);

#endif
