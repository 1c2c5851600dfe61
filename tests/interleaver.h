#pragma once
// A scheduler that walks the interleavings of a few actors, each a fibre of the test's thread. An actor is stopped
// wherever it comes by a point (base/test_point.h) or waits; then it goes on, or another one does. So the same choices
// give the same run, and a failure names them.
//
// What is walked is a total order of the actors' steps: an order that only a weakly ordered host allows, because a
// fence is missing, is not among them.
#include <gtest/gtest.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/test_point.h"
#include "base/types.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace armvisor {

class Interleaver final : private TestPoints {
 public:
  using Actors = std::vector<std::function<void()>>;

  /// Runs all schedules that take the processor away from an actor at most `preemptions` times, each in a world of its
  /// own: make() sets it up and returns its actors, done() looks at what came of it. Ends at the first failure. Returns
  /// how many there were.
  template <class Make, class Done>
  u64 walk(u32 preemptions, Make make, Done done) {
    most_preemptions_ = preemptions;
    choices_.clear();
    u64 count = 0;
    do {
      run(make());
      done();
      ++count;
    } while (!failed(count) && next());
    return count;
  }
  /// Likewise each schedule in which one actor begins, and one loses the processor once, at any of its points, to any
  /// other. (The worlds need not be the same to the last step.)
  template <class Make, class Done>
  u64 sweep(Make make, Done done) {
    u64 count = 0;
    bool more = true;
    for (u32 point = 0; more; ++point) {
      more = false;
      for (u32 first = 0, actors = 1; first < actors; ++first)
        for (u32 to = 0; to < actors; ++to) {
          sweep_ = {first, point, to};
          run(make());
          sweep_.reset();
          done();
          actors = static_cast<u32>(actors_.size());
          more |= steps_ > point;
          if (failed(++count)) return count;
        }
    }
    return count;
  }
  /// Likewise `count` schedules in which an actor loses the processor at random, one time in `one_in`.
  template <class Make, class Done>
  void sample(u64 count, u32 one_in, Make make, Done done) {
    one_in_ = one_in;
    for (u64 k = 0; k < count; ++k) {
      random_.seed(static_cast<u32>(k));
      choices_.clear();
      run(make());
      done();
      if (failed(k)) break;
    }
    one_in_ = 0;
  }

  /// No actor is stopped at these points. (One between waits must be among them, or actors wait in turns for ever.)
  void ignore(std::vector<std::string> points) { ignored_ = std::move(points); }

  // --- for actors
  void point(const char* name) { step(name); }
  /// It cannot go on before another one has done something.
  void wait() { blocked(); }

 private:
  static constexpr std::size_t k_stack_bytes = 256 * 1024, k_most_steps = 20'000;
  struct Choice {
    u32 taken, of;
  };
  struct Fibre {
    ucontext_t context;
    std::unique_ptr<u8[]> stack = std::make_unique_for_overwrite<u8[]>(k_stack_bytes);
    bool done = false, waits = false;
  };

  void run(Actors actors) {
    actors_ = std::move(actors);
    while (fibres_.size() < actors_.size()) fibres_.push_back(std::make_unique<Fibre>());
    for (u32 k = 0; k < actors_.size(); ++k) {
      Fibre& f = *fibres_[k];
      f.done = f.waits = false;
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = f.stack.get();
      f.context.uc_stack.ss_size = k_stack_bytes;
      f.context.uc_link = nullptr;
      const u64 self = reinterpret_cast<u64>(this);
      makecontext(&f.context, reinterpret_cast<void (*)()>(&Interleaver::begin), 2, static_cast<u32>(self),
                  static_cast<u32>(self >> 32));
    }
    at_ = 0, preemptions_ = 0, steps_ = 0;
    trace_.clear();
    current_ = k_nobody;
    current_ = choose();
    t_test_points = this;
    switch_to(main_, fibres_[current_].get());
    t_test_points = nullptr;
  }
  /// Leaves the stack of `from` for that of `to`; null: for the test's own.
  void switch_to(ucontext_t& from, Fibre* to) {
#ifdef __SANITIZE_ADDRESS__
    void* left = nullptr;
    __sanitizer_start_switch_fiber(&left, to ? to->stack.get() : main_stack_, to ? k_stack_bytes : main_bytes_);
    swapcontext(&from, to ? &to->context : &main_);
    __sanitizer_finish_switch_fiber(left, nullptr, nullptr);
#else
    swapcontext(&from, to ? &to->context : &main_);
#endif
  }
  static void begin(u32 low, u32 high) { reinterpret_cast<Interleaver*>(u64{high} << 32 | low)->act(); }
  void act() {
#ifdef __SANITIZE_ADDRESS__
    const bool first = main_stack_ == nullptr;  // and so it comes from there
    __sanitizer_finish_switch_fiber(nullptr, first ? &main_stack_ : nullptr, first ? &main_bytes_ : nullptr);
#endif
    actors_[current_]();
    fibres_[current_]->done = true;
    step("end");
    std::abort();  // nobody chooses it again
  }

  void reached(const char* point) override {
    if (std::ranges::find(ignored_, point) == ignored_.end()) step(point);
  }
  void blocked() override {
    fibres_[current_]->waits = true;
    step("waits");
  }

  /// The current actor is at `point`: whoever is chosen goes on.
  void step(const char* point) {
    trace_.push_back({current_, point});
    if (!fibres_[current_]->waits)
      for (u32 k = 0; k < actors_.size(); ++k) fibres_[k]->waits = false;
    const u32 next = ++steps_ > k_most_steps ? k_nobody : choose();
    if (next == current_) return;
    ucontext_t& from = fibres_[current_]->context;
    current_ = next;
    const bool ends = next == k_nobody;
    if (ends && !all_done()) ADD_FAILURE() << "the actors wait for each other";
    switch_to(from, ends ? nullptr : fibres_[next].get());
  }
  bool all_done() const {
    for (u32 k = 0; k < actors_.size(); ++k)
      if (!fibres_[k]->done) return false;
    return true;
  }
  bool may_run(u32 k) const { return !fibres_[k]->done && !fibres_[k]->waits; }

  /// Who goes on; k_nobody when no one can. The current actor comes first, if it can.
  u32 choose() {
    std::vector<u32> able;
    const bool goes_on = current_ != k_nobody && may_run(current_);
    if (goes_on) able.push_back(current_);
    for (u32 k = 0; k < actors_.size(); ++k)
      if (k != current_ && may_run(k)) able.push_back(k);
    if (able.empty()) return k_nobody;
    if (sweep_) {
      const bool now = current_ == k_nobody || steps_ == sweep_->point + 1;
      const u32 wanted = current_ == k_nobody ? sweep_->first : sweep_->to;
      return now && std::ranges::find(able, wanted) != able.end() ? wanted : able.front();
    }
    const u32 chosen = able[pick(static_cast<u32>(able.size()), goes_on)];
    preemptions_ += goes_on && chosen != current_;
    return chosen;
  }
  u32 pick(u32 of, bool goes_on) {
    if (one_in_ != 0) return goes_on && random_() % one_in_ != 0 ? 0 : static_cast<u32>(random_() % of);
    if (goes_on && preemptions_ == most_preemptions_) of = 1;
    if (of == 1) return 0;
    if (at_ == choices_.size()) choices_.push_back({0, of});
    if (choices_[at_].of != of) {
      ADD_FAILURE() << "the same choices led to another place: use sweep()";
      return 0;
    }
    return choices_[at_++].taken;
  }
  /// The next schedule; false: there is none.
  bool next() {
    while (!choices_.empty() && choices_.back().taken + 1 == choices_.back().of) choices_.pop_back();
    if (choices_.empty()) return false;
    ++choices_.back().taken;
    return true;
  }
  bool failed(u64 schedule) const {
    if (!testing::Test::HasFailure()) return false;
    std::string text;
    for (const auto& [actor, point] : trace_) text += "\n  actor " + std::to_string(actor) + ": " + point;
    ADD_FAILURE() << "in schedule " << schedule << ":" << text;
    return true;
  }

  static constexpr u32 k_nobody = ~u32{0};
  Actors actors_;
  std::vector<std::string> ignored_;
  std::vector<std::unique_ptr<Fibre>> fibres_;
  ucontext_t main_;
#ifdef __SANITIZE_ADDRESS__
  const void* main_stack_ = nullptr;
  std::size_t main_bytes_ = 0;
#endif
  std::vector<Choice> choices_;
  struct Sweep {
    u32 first, point, to;
  };
  std::optional<Sweep> sweep_;
  std::size_t at_ = 0;
  u32 current_ = k_nobody, preemptions_ = 0, most_preemptions_ = 0, one_in_ = 0;
  u64 steps_ = 0;
  std::mt19937 random_;
  std::vector<std::pair<u32, const char*>> trace_;
};

}  // namespace armvisor
