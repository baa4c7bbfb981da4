/* LLVM's C API, and the one place for differences between its versions. */
#ifndef QN__LLVM_COMPAT_H
#define QN__LLVM_COMPAT_H

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>

/* Since 22 masked loads and stores take their alignment from an attribute of the pointer, not from an argument. */
#if LLVM_VERSION_MAJOR < 22
#error "Quern needs LLVM 22 or newer"
#endif

#endif
