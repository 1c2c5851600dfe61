#include "measure/marks.h"

#include <algorithm>

namespace armvisor::measure {

bool Marks::valid(std::string_view name) {
  constexpr std::string_view k_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:";
  return !name.empty() && name.size() <= k_max_name && name.find_first_not_of(k_letters) == name.npos;
}

Marks::Outcome Marks::begin(std::string_view name, Snapshot now) {
  if (!valid(name)) return Outcome::BadName;
  const std::lock_guard guard(mutex_);
  auto at = std::find_if(marks_.begin(), marks_.end(), [&](const Mark& m) { return m.total.name == name; });
  if (at == marks_.end()) {
    if (marks_.size() == k_max) return Outcome::NoRoom;
    at = marks_.emplace(at);
    at->total.name = name;
  }
  at->begun = std::move(now);
  return Outcome::Done;
}

Marks::Outcome Marks::end(std::string_view name, const Snapshot& now) {
  if (!valid(name)) return Outcome::BadName;
  const std::lock_guard guard(mutex_);
  const auto at = std::find_if(marks_.begin(), marks_.end(), [&](const Mark& m) { return m.total.name == name; });
  if (at == marks_.end() || !at->begun) return Outcome::NotOpen;
  accumulate(at->total.total, difference(now, *at->begun));
  ++at->total.times;
  at->begun.reset();
  return Outcome::Done;
}

std::vector<MarkTotal> Marks::totals() const {
  const std::lock_guard guard(mutex_);
  std::vector<MarkTotal> out;
  for (const Mark& mark : marks_) {
    out.push_back(mark.total);
    out.back().open = mark.begun.has_value();
  }
  return out;
}

}  // namespace armvisor::measure
