#pragma once
// Several users of one character device, and the keys by which who types there chooses between them.
//
// All of them write to it; input goes to one of them, which has the focus. The escape (Ctrl-A) and a key behind it are
// for the mux: c gives the focus to the next user, x ends the machine, b sends a break, h tells; the escape twice is
// the character itself. A mux with one user is how a console has these keys at all.
#include <atomic>
#include <vector>

#include "devices/chardev/chardev.h"
#include "devices/chardev/chardev_options.h"

namespace armvisor::devices {

class Mux {
 public:
  static constexpr std::size_t k_max_users = 4;  ///< as in QEMU

  /// `quit` is called by the chardev's thread, after `farewell` was said.
  Mux(std::unique_ptr<Chardev> below, const ConsoleKeys& keys, std::function<void()> quit, std::string farewell = {});
  ~Mux();

  /// For another user, before start(); the newest has the focus. null: there are too many.
  Chardev* add_user();
  Chardev& below() { return *below_; }

 private:
  class Port;
  std::size_t input(std::span<const u8> bytes);
  bool deliver();
  void act(u8 key);
  void focus_next();
  void tell_keys();
  void say(std::string_view text);

  const std::unique_ptr<Chardev> below_;
  const ConsoleKeys keys_;
  const bool escapes_;
  const std::function<void()> quit_;
  const std::string farewell_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::atomic<std::size_t> focus_{0};
  bool escaped_ = false;  ///< of the thread below
};

}  // namespace armvisor::devices
