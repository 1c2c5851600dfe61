#pragma once
// What each part of a command line became. What would change the result is refused; what cannot is ignored, with the
// reason; what is done a little differently is clamped, and says how.
#include <string>
#include <string_view>
#include <vector>

#include "qemu/words.h"

namespace armvisor::qemu {

enum class Fate { Mapped, Ignored, Clamped, Refused };
std::string_view name(Fate fate);

struct Outcome {
  std::string option;  ///< as it stands on the line, or the one key of it that is meant; "default: ..." stands on none
  Fate fate;
  std::string became;  ///< of Mapped and Clamped
  std::string why;     ///< of the others and Clamped
};

class Outcomes {
 public:
  void mapped(std::string option, std::string became) { add({std::move(option), Fate::Mapped, std::move(became), {}}); }
  void ignored(std::string option, std::string why) { add({std::move(option), Fate::Ignored, {}, std::move(why)}); }
  void clamped(std::string option, std::string became, std::string why) {
    add({std::move(option), Fate::Clamped, std::move(became), std::move(why)});
  }
  /// `why`: what was expected, what was found and what can be done.
  void refused(std::string option, std::string why) { add({std::move(option), Fate::Refused, {}, std::move(why)}); }

  bool any_refused() const;
  /// "OPTION: WHY" of the first that was refused.
  std::string first_refusal() const;
  const std::vector<Outcome>& all() const { return all_; }

 private:
  void add(Outcome outcome) { all_.push_back(std::move(outcome)); }
  std::vector<Outcome> all_;
};

}  // namespace armvisor::qemu
