// TBB behind a C function, for bench/threads.c.
#include <oneapi/tbb/parallel_for.h>

extern "C" void threads_tbb(void (*run)(void *), void *context, int count) {
    tbb::parallel_for(0, count, [=](int) { run(context); }, tbb::simple_partitioner());
}
