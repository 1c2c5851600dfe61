#include "qemu/outcome.h"

#include <algorithm>

namespace armvisor::qemu {

std::string_view name(Fate fate) {
  switch (fate) {
    case Fate::Mapped: return "mapped";
    case Fate::Ignored: return "ignored";
    case Fate::Clamped: return "clamped";
    case Fate::Refused: return "refused";
  }
  return {};
}

bool Outcomes::any_refused() const {
  return std::ranges::any_of(all_, [](const Outcome& o) { return o.fate == Fate::Refused; });
}

std::string Outcomes::first_refusal() const {
  const auto at = std::ranges::find(all_, Fate::Refused, &Outcome::fate);
  return at == all_.end() ? std::string() : at->option + ": " + at->why;
}

}  // namespace armvisor::qemu
