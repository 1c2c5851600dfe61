#pragma once
// Work on what may be anybody's (archives, file systems, modules) in a process of its own. Whatever is done there, this
// process looks at signals and time meanwhile, and ends it: a loop in a library that never asks is no exception.
//
// The process is a copy of this one (fork(2)), so that the work needs nothing passed to it; what comes back are words
// and descriptors. It is killed when patience is over, when it wants more than it may have, and when this process ends;
// then what it kept nowhere is gone, and what a cache folder holds unfinished is cleared away there.
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "exec/patience.h"

namespace armvisor::exec {

/// What comes back, of which less than k_most_words bytes are words, and at most k_most_files files.
struct Findings {
  static constexpr std::size_t k_most_words = std::size_t{8} << 20, k_most_files = 8;
  std::vector<std::string> words{};
  std::vector<Fd> files{};
};

struct Confines {
  u64 memory = 0;     ///< bytes of addresses, beyond those that this process has
  u64 file_size = 0;  ///< bytes of each file that is written
};

/// The findings or the error of `work`, or an error that says how it ended instead. `what` is for messages: the
/// system's path. No other thread of this process may hold what the work needs.
Result<Findings> work_confined(const std::string& what, const Confines& confines, Patience& patience,
                               const std::function<Result<Findings>()>& work);

}  // namespace armvisor::exec
