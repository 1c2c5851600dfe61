#pragma once
// Named regions of a guest's run: what was counted, in all vCPUs, between the begin and the end of each. (any thread)
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "measure/snapshot.h"

namespace armvisor::measure {

/// The sum over all times that a region was passed.
struct MarkTotal {
  std::string name;
  u64 times = 0;
  bool open = false;  ///< begun and not ended yet; that time is not in `total`
  Snapshot total;
};

class Marks {
 public:
  static constexpr std::size_t k_max = 128;  ///< different names, as a guest may make any number
  static constexpr std::size_t k_max_name = 16;
  enum class Outcome { Done, BadName, NoRoom, NotOpen };

  /// Letters, digits and . _ - + : , one to k_max_name of them.
  static bool valid(std::string_view name);
  /// One that is open already begins anew.
  Outcome begin(std::string_view name, Snapshot now);
  Outcome end(std::string_view name, const Snapshot& now);
  std::vector<MarkTotal> totals() const;

 private:
  struct Mark {
    MarkTotal total;
    std::optional<Snapshot> begun;
  };
  mutable std::mutex mutex_;
  std::vector<Mark> marks_;
};

}  // namespace armvisor::measure
