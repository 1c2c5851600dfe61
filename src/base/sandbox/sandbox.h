#pragma once
// The process narrows itself to what a running machine needs, before the guest's first instruction, so that whoever
// gets out of a guest has not much (docs/security.md, decisions/013-sandbox.md).
//
// The kernel keeps lists of calls and rules for files per thread. A thread puts on those of its kind (calls.inc) first
// of all when it starts; the one that waits for the machine's end makes the others, so it has what all of them have
// together, and puts that on when everything is open. Nothing of it can be taken off.
#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sandbox/call_list.h"
#include "base/sandbox/errands.h"
#include "base/sandbox/landlock.h"
#include "base/sandbox/thread_kind.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AV_SANITIZER_RUNS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AV_SANITIZER_RUNS 1
#endif

namespace armvisor {

/// What a thread puts on. It may be copied; what it refers to stays for the life of the process.
class Narrowing {
 public:
  /// Of a process without a sandbox: nothing.
  static Result<Narrowing> of(ThreadKind kind);
  /// For the calling thread. Does not return if that fails: nothing runs half narrowed. (async-signal-safe)
  void put_on() const;

 private:
  friend class Sandbox;
  ThreadKind kind_{};
  const CallList* calls_ = nullptr;
  const Landlock* files_ = nullptr;
};

class Sandbox {
 public:
  /// Why the process has to end at once.
  enum class End {
    ForbiddenCall,  ///< a thread made a call that is not on its list
    NotNarrowed,    ///< the host did not let a thread be narrowed
  };
#ifdef AV_SANITIZER_RUNS  // whose own calls differ between versions
  static constexpr bool k_built_in = false;
#else
  static constexpr bool k_built_in = true;
#endif

  struct Rule {
    ThreadKind who{};  ///< of which duty or kind a thread has to be
    FileRule file;
  };
  struct Options {
    std::vector<Rule> rules{};
    ThreadKind duties{};            ///< that some thread may have later
    std::vector<Errand> errands{};  ///< see errands.h
    bool errands_speak = false;
    /// Ends the process, once a message was written. Called in any thread, in a signal handler.
    void (*end)(End why) = nullptr;
  };

  /// Whether this build and this host have what it takes: seccomp. Landlock is used where it is there.
  static bool available();
  /// Threads that start from now on are narrowed. Once in a process, before it has threads.
  static Status begin(Options options);
  /// Null: there is none.
  static Sandbox* current();

  /// The calling thread, which makes the machine's threads, is narrowed. Others are of kinds that were seen by now, or
  /// have less than one of them.
  /// What threads of `later` put on is made now: rules for files cannot be made any more then.
  Status narrow_main(std::span<const ThreadKind> later = {});
  /// (any thread) Has a thing done that this process must not do; nothing if it may do it itself.
  static std::optional<Result<Fd>> ask(std::string_view errand, std::string_view argument, int file = -1);
  /// A server of the machine's, which it may end.
  void add_child(pid_t child);

 private:
  struct Outfit;
  friend class Narrowing;
  Sandbox(Options options, std::optional<Errands> errands);
  Result<Narrowing> narrowing(ThreadKind kind);
  Result<std::unique_ptr<Outfit>> make_outfit(ThreadKind kind) const;

  const Options options_;
  std::optional<Errands> errands_;
  std::mutex mutex_;  // guards what follows
  std::map<ThreadKind, std::unique_ptr<Outfit>> outfits_;
  std::vector<pid_t> children_;
};

}  // namespace armvisor
