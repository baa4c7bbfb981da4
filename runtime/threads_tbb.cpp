// All that knows TBB: a function on several threads at once. No exception leaves this file.
//
// The context is isolated, so that a host that cancels its own tasks cancels none of ours, and carries the caller's floating-point settings to the
// workers. A thread that waits here runs nothing else: another caller's long stage never holds up a short one.
//
// TBB has one set of workers for a process, and none in a child: there nobody but the caller would run, and locks might be held for ever.
#include "runtime/threads_tbb.h"

#include <atomic>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <unistd.h>

namespace {
std::atomic<pid_t> home{0}; // the process that TBB was started in; TBB's own state is as global
}

bool qn__tbb_run(void (*run)(void *), void *context, uint32_t count) {
    const pid_t self = getpid();
    pid_t none = 0;
    if (!home.compare_exchange_strong(none, self) && none != self) return false;
    try {
        tbb::task_group_context settings(tbb::task_group_context::isolated, tbb::task_group_context::fp_settings);
        tbb::this_task_arena::isolate([&] {
            tbb::parallel_for(uint32_t{0}, count, [=](uint32_t) { run(context); }, tbb::simple_partitioner(), settings);
        });
        return true;
    } catch (...) {
        return false;
    }
}
