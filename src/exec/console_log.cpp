#include "exec/console_log.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace armvisor::exec {
namespace {

constexpr std::string_view k_panic = "Kernel panic - not syncing";
constexpr std::string_view k_any_panic[] = {""};
/// Behind it, of Linux's kernel/watchdog.c, kernel/rcu/tree_stall.h and kernel/hung_task.c.
constexpr std::string_view k_stalls[] = {": softlockup: hung tasks", ": RCU Stall", ": hung_task: blocked tasks"};
/// What a report of the kernel's begins with that ends in a panic.
constexpr std::array<std::string_view, 9> k_beginnings = {"rcu: INFO: ",
                                                          "INFO: rcu",
                                                          "INFO: task ",
                                                          "Internal error: ",
                                                          "Unable to handle kernel",
                                                          "BUG: ",
                                                          "Kernel panic - not syncing",
                                                          "armvisor agent: ",
                                                          "Out of memory: "};
constexpr std::size_t k_shown = 20;  ///< lines, of a console that says no reason

class Line final : public devices::Chardev {
 public:
  explicit Line(ConsoleLog& log) : log_(log) {}
  std::string filename() const override { return "console"; }

 private:
  bool do_offer(std::span<const u8> bytes) override {
    log_.add(bytes);
    return true;
  }
  void do_write(std::span<const u8> bytes) override { log_.add(bytes); }
  ConsoleLog& log_;
};

bool begins_report(const std::string& line) {
  return std::ranges::any_of(k_beginnings, [&](std::string_view b) { return line.find(b) != line.npos; });
}

}  // namespace

Result<std::unique_ptr<ConsoleLog>> ConsoleLog::create(int copy) {
  std::unique_ptr<ConsoleLog> log(new ConsoleLog());
  if (copy >= 0) {
    AV_TRY_ASSIGN(log->copy_, Outlet::create(copy));
  }
  return log;
}

std::unique_ptr<devices::Chardev> ConsoleLog::line() { return std::make_unique<Line>(*this); }

void ConsoleLog::add(std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  if (copy_) copy_->offer(bytes);
  for (const u8 c : bytes) {
    if (c == '\n') {
      lines_.emplace_back();
      if (lines_.size() > k_most_lines) lines_.pop_front();
    } else if (c != '\r' && lines_.back().size() < k_longest_line) {
      // Not what a terminal would take as something else than text.
      lines_.back().push_back(c >= ' ' && c != 0x7f ? static_cast<char>(c) : '?');
    }
  }
}

bool ConsoleLog::says_panic_of(std::span<const std::string_view> texts) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(lines_, [&](const std::string& l) {
    const std::size_t at = l.find(k_panic);
    return at != l.npos && std::ranges::any_of(texts, [&](std::string_view t) {
             return l.compare(at + k_panic.size(), t.size(), t) == 0;
           });
  });
}

bool ConsoleLog::panicked() const { return says_panic_of(k_any_panic); }
bool ConsoleLog::stalled() const { return says_panic_of(k_stalls); }

std::vector<std::string> ConsoleLog::last_lines() const {
  const std::lock_guard lock(mutex_);
  auto from = std::ranges::find_if(lines_, begins_report);
  if (from == lines_.end() && lines_.size() > k_shown)
    from = lines_.end() - static_cast<std::ptrdiff_t>(k_shown);
  else if (from == lines_.end())
    from = lines_.begin();
  std::vector<std::string> last(from, lines_.end());
  while (!last.empty() && last.back().empty()) last.pop_back();
  return last;
}

}  // namespace armvisor::exec
