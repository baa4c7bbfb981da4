/* Other libraries' functions over arrays, for comparison. */
#ifndef QUERN_BENCH_ACCURACY_PEERS_H
#define QUERN_BENCH_ACCURACY_PEERS_H

#include "tests/math/reference.h"

#include <stddef.h>

typedef enum { PEER_LIBM, PEER_LIBMVEC, PEER_SLEEF, PEER_COUNT } Peer;

/* z[i] = function(x[i], y[i]) for arrays of float or double; n is a multiple of 8. */
typedef void PeerRun(size_t n, const void *x, const void *y, void *z);

/* NULL where the library has no such function, or was not there when this was built. */
PeerRun *peer_run(Peer peer, Function function, bool single);

#endif
