/* Which variant of ahead-of-time code this processor runs: 0 any x86-64, 3 AVX2 and FMA (x86-64-v3), 4 AVX-512 (x86-64-v4).
 * Called by resolvers of indirect functions, before anything else of the program has run. */
int qn__cpu_level(void);

__attribute__((visibility("hidden"))) int qn__cpu_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return v4 ? 4 : v3 ? 3 : 0;
#else
    return 0;
#endif
}
