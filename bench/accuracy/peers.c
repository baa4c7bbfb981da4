/* glibc's scalar functions, its libmvec (the symbols that gcc calls in vectorised loops), SLEEF's AVX2 functions of 1 ULP.
   Each row of peers.def becomes six loops. Built with -mavx2 -mfma. */
#include "peers.h"

#include <immintrin.h>
#include <math.h>
#ifdef HAVE_SLEEF
#include <sleef.h>
#endif

#define SCALAR_LOOP(run, type, call)                                              \
    static void run(size_t n, const void *xs, const void *ys, void *zs) {         \
        const type *x = xs, *y = ys;                                              \
        type *z = zs;                                                             \
        for (size_t i = 0; i < n; i++) {                                          \
            type a = x[i], b = y[i];                                              \
            z[i] = call;                                                          \
            (void)b;                                                              \
        }                                                                         \
    }
#define VECTOR_LOOP(run, type, vector, lanes, load, store, call)                  \
    static void run(size_t n, const void *xs, const void *ys, void *zs) {         \
        const type *x = xs, *y = ys;                                              \
        type *z = zs;                                                             \
        for (size_t i = 0; i + lanes <= n; i += lanes) {                          \
            vector a = load(x + i), b = load(y + i);                              \
            store(z + i, call);                                                   \
            (void)b;                                                              \
        }                                                                         \
    }
#define DOUBLES(run, call) VECTOR_LOOP(run, double, __m256d, 4, _mm256_loadu_pd, _mm256_storeu_pd, call)
#define FLOATS(run, call) VECTOR_LOOP(run, float, __m256, 8, _mm256_loadu_ps, _mm256_storeu_ps, call)

#define LIBM1(name, variant) SCALAR_LOOP(libm_##name, double, name(a)) SCALAR_LOOP(libm_##name##f, float, name##f(a))
#define LIBM2(name, variant) SCALAR_LOOP(libm_##name, double, name(a, b)) SCALAR_LOOP(libm_##name##f, float, name##f(a, b))
#define MVEC1(name, variant)                    \
    __m256d _ZGVdN4v_##name(__m256d);           \
    __m256 _ZGVdN8v_##name##f(__m256);          \
    DOUBLES(mvec_##name, _ZGVdN4v_##name(a))    \
    FLOATS(mvec_##name##f, _ZGVdN8v_##name##f(a))
#define MVEC2(name, variant)                      \
    __m256d _ZGVdN4vv_##name(__m256d, __m256d);   \
    __m256 _ZGVdN8vv_##name##f(__m256, __m256);   \
    DOUBLES(mvec_##name, _ZGVdN4vv_##name(a, b))  \
    FLOATS(mvec_##name##f, _ZGVdN8vv_##name##f(a, b))
#ifdef HAVE_SLEEF
#define SLEEF1(name, variant)                               \
    DOUBLES(sleef_##name, Sleef_##name##d4##variant##avx2(a)) \
    FLOATS(sleef_##name##f, Sleef_##name##f8##variant##avx2(a))
#define SLEEF2(name, variant)                                  \
    DOUBLES(sleef_##name, Sleef_##name##d4##variant##avx2(a, b)) \
    FLOATS(sleef_##name##f, Sleef_##name##f8##variant##avx2(a, b))
#define SLEEF_RUNS(name) {sleef_##name, sleef_##name##f}
#else
#define SLEEF1(name, variant)
#define SLEEF2(name, variant)
#define SLEEF_RUNS(name) {NULL, NULL}
#endif

#define P1(name, variant) LIBM1(name, variant) MVEC1(name, variant) SLEEF1(name, variant)
#define P2(name, variant) LIBM2(name, variant) MVEC2(name, variant) SLEEF2(name, variant)
#define P1_NO_LIBMVEC(name, variant) LIBM1(name, variant) SLEEF1(name, variant)
#define P2_NO_LIBMVEC(name, variant) LIBM2(name, variant) SLEEF2(name, variant)
#include "peers.def"
#undef P1
#undef P2
#undef P1_NO_LIBMVEC
#undef P2_NO_LIBMVEC

static PeerRun *const runs[FUNCTION_COUNT][PEER_COUNT][2] = {
#define P1(name, variant) [FUNCTION_##name] = {{libm_##name, libm_##name##f}, {mvec_##name, mvec_##name##f}, SLEEF_RUNS(name)},
#define P2(name, variant) P1(name, variant)
#define P1_NO_LIBMVEC(name, variant) [FUNCTION_##name] = {{libm_##name, libm_##name##f}, {NULL, NULL}, SLEEF_RUNS(name)},
#define P2_NO_LIBMVEC(name, variant) P1_NO_LIBMVEC(name, variant)
#include "peers.def"
#undef P1
#undef P2
#undef P1_NO_LIBMVEC
#undef P2_NO_LIBMVEC
};

PeerRun *peer_run(Peer peer, Function function, bool single) {
    return runs[function][peer][single];
}
