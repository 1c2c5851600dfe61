#pragma once
// A character device that a test drives by hand.
#include <atomic>
#include <string>
#include <vector>

#include "devices/chardev/chardev.h"

namespace armvisor::devices {

struct FakeChardev final : Chardev {
  std::string output;
  bool full = false;  ///< takes nothing
  bool there = true;  ///< somebody is connected
  bool terminal = false;
  std::atomic<int> rooms{0};  ///< how often its user had room again
  std::optional<TerminalSize> terminal_size;
  std::vector<bool> user_opens;    ///< what its user told of his end
  bool forgets = false;            ///< what is typed is for nobody once the user's end was opened or closed
  bool full_until_closed = false;  ///< takes nothing until the user's end is closed
  std::string waited;              ///< of the output, what was written by who would have waited

  using Chardev::tell_break;
  using Chardev::tell_focus;
  using Chardev::tell_opened;
  using Chardev::tell_writable;
  std::size_t type(std::string_view text) { return give({reinterpret_cast<const u8*>(text.data()), text.size()}); }
  void set_there(bool is) {
    there = is;
    tell_opened(is);
  }
  void make_room() {
    full = false;
    tell_writable();
  }

  bool user_opened(bool open) override {
    user_opens.push_back(open);
    if (!open && full_until_closed) full = false;
    return forgets;
  }
  void room() override { ++rooms; }
  bool is_terminal() const override { return terminal; }
  std::optional<TerminalSize> size() const override { return terminal_size; }
  bool connected() const override { return there; }
  std::string filename() const override { return "fake"; }

 private:
  bool do_offer(std::span<const u8> bytes) override {
    if (!full) output.append(bytes.begin(), bytes.end());
    return !full;
  }
  void do_write(std::span<const u8> bytes) override {
    if (full) waited.append(bytes.begin(), bytes.end());
    output.append(bytes.begin(), bytes.end());
  }
};

}  // namespace armvisor::devices
