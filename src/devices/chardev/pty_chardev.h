#pragma once
// A pseudo-terminal as a character device, which users open and leave at will. While nobody has it open, output is
// dropped; who has it open and reads nothing holds back its user's output.
#include <atomic>
#include <condition_variable>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/wake_event.h"
#include "devices/chardev/chardev.h"

namespace armvisor::devices {

class PtyChardev final : public Chardev {
 public:
  static Result<std::unique_ptr<PtyChardev>> create(const std::string& option);
  ~PtyChardev() override { stop(); }

  Status start() override;
  void stop() override;
  void room() override;
  bool is_terminal() const override { return true; }
  bool connected() const override { return open_; }
  std::string filename() const override { return "pty:" + name_; }
  const std::string& name() const { return name_; }  ///< of the file

 private:
  PtyChardev(Fd master, std::string name, WakeEvent wake)
      : master_(std::move(master)), wake_(std::move(wake)), name_(std::move(name)) {}
  bool do_offer(std::span<const u8> bytes) override;
  void do_write(std::span<const u8> bytes) override;
  void do_give_up() override;
  void do_drain() override;
  void run();
  void look(int timeout_ms, bool read);
  void receive();
  bool somebody_there() const;
  void set_open(bool open);

  const Fd master_;
  const WakeEvent wake_;
  const std::string name_;
  std::atomic<bool> stopping_{false}, wants_more_{false}, open_{false};
  std::vector<u8> read_ahead_;  ///< of the thread
  std::mutex mutex_;            // guards what follows
  std::condition_variable progress_;
  std::vector<u8> rest_;  ///< of what was offered and did not fit whole
  bool refused_ = false;  ///< offer() had no room
  bool given_up_ = false;
  std::thread thread_;
};

}  // namespace armvisor::devices
