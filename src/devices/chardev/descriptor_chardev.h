#pragma once
// A terminal, pipe, file or pair of them as a character device.
//
// A thread reads the input; output goes by way of an outlet. A terminal is in raw mode while the chardev lives and the
// process is in the terminal's foreground, so that control characters reach the guest; in the background it is left
// alone.
#include <atomic>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/wake_event.h"
#include "devices/chardev/chardev.h"

namespace armvisor::devices {

class DescriptorChardev final : public Chardev {
 public:
  struct Ends {
    Fd owned_input{};
    int input = -1;           ///< borrowed; < 0 and nothing owned: there is no input
    Outlet::Target output{};  ///< none: output is dropped
    bool signals = false;     ///< Ctrl-C and the like, typed on a terminal, end or stop the program
    std::string filename{};
  };
  static Result<std::unique_ptr<DescriptorChardev>> create(Ends ends);
  ~DescriptorChardev() override { stop(); }

  Status start() override;
  void stop() override;
  void room() override;
  void continued() override;
  bool is_terminal() const override { return terminal_; }
  std::optional<TerminalSize> size() const override;
  std::string filename() const override { return ends_.filename; }

 private:
  DescriptorChardev(Ends ends, WakeEvent wake);
  bool do_offer(std::span<const u8> bytes) override;
  void do_write(std::span<const u8> bytes) override;
  void do_give_up() override;
  void do_drain() override;
  void run();
  bool wait_for_input(bool open, bool nothing_waits);
  bool may_read();
  bool read_input(std::vector<u8>& read_ahead);
  void say_error(int error);

  Ends ends_;
  const int in_fd_, out_fd_;
  const bool terminal_;
  std::unique_ptr<Outlet> out_;
  WakeEvent wake_;           ///< there is room, or the thread is to end
  bool background_ = false;  ///< of the terminal, when last seen
  std::atomic<bool> stopping_{false}, error_said_{false}, wants_more_{false};
  std::thread thread_;
};

}  // namespace armvisor::devices
