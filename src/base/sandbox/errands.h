#pragma once
// What a narrowed process needs to have done that it must not do itself: a process that is made before, and does a few
// things, each known by a name and laid down before there is a guest. Whoever has taken over the machine can ask for
// these, and for nothing else.
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor {

struct Errand {
  static constexpr std::size_t k_longest_argument = 4096;
  std::string name;
  /// In the other process. `argument` and `file` are whoever's who has taken over the machine, and are to be checked. A
  /// descriptor, if any, goes back.
  std::function<Result<Fd>(const std::string& argument, Fd file)> run;
};

class Errands {
 public:
  /// To be called before there are threads. `speaks`: what errands start has this process's output and messages, else
  /// /dev/null.
  static Result<Errands> start(std::vector<Errand> errands, bool speaks);
  Errands(Errands&& other) noexcept : names_(std::move(other.names_)), socket_(std::move(other.socket_)) {}

  bool has(std::string_view name) const;
  /// (any thread) Has it done, and waits for it. Of those that are there.
  Result<Fd> ask(std::string_view name, std::string_view argument, int file = -1);

 private:
  Errands(std::vector<std::string> names, Fd socket) : names_(std::move(names)), socket_(std::move(socket)) {}
  std::vector<std::string> names_;
  Fd socket_;
  std::mutex mutex_;  ///< one asks at a time
};

}  // namespace armvisor
