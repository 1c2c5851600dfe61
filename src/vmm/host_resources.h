#pragma once
// What a machine has of its host: files of flash, disks, links, shared folders, character devices. They are opened once
// and outlive the machine, which a reset makes anew.
//
// Threads: open() is the thread's that runs the machine. What another thread may want before all of them are open has
// (any thread).
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/stop_event.h"
#include "devices/backends/disk.h"
#include "devices/backends/frame_link.h"
#include "devices/backends/packet_dump.h"
#include "machine/flash_banks.h"
#include "machine/machine.h"
#include "machine/semihosting/semihosting.h"
#include "vmm/vm_config.h"

namespace armvisor::vmm {

class HostResources {
 public:
  explicit HostResources(const VmConfig& config) : config_(config) {}

  /// What is only opened, and keeps nobody waiting.
  Status open_files();
  /// What may wait for others: whoever listens, servers of disks and folders, scripts. `stop` ends that. `quit`: a
  /// user's wish.
  Status open_rest(const StopEvent& stop, std::function<void()> quit, machine::SemihostingHost& host);

  /// What the machine borrows of them, beside what `world` names already.
  machine::MachineWorld world(devices::Clock& clock, devices::TimerQueue& timers, machine::MachineHost& host);
  machine::FlashBanks& flash() { return *flash_; }
  devices::Chardevs* chardevs();  ///< (any thread) null: they are not open yet
  devices::Chardev* gdb_line() { return gdb_line_; }
  devices::Chardev* monitor_line(std::size_t monitor) { return monitor_lines_[monitor]; }  ///< null: nobody is there
  u64 disk_size(std::size_t disk);  ///< (any thread) in bytes; 0: it is not open yet

  /// Who waits for a reader of output on a vCPU's thread does not, until it is over.
  void hurry(bool begin);
  /// (any thread) Nobody waits for readers of output any more.
  void give_up();
  /// (any thread) What waits for a server of a disk or of a folder does not any more.
  void machine_ends();
  /// Output of the machine, none of whose vCPUs runs, is sent; `wait`: however slow the reader is.
  void finish_output(bool wait);
  /// Waits until all that was said is written.
  void drain();
  /// Nobody uses lines any more after it.
  void stop_chardevs();
  /// Their scripts may take long.
  void close_links() { links_.clear(); }
  void close_semihosting() { semihosting_.reset(); }

 private:
  Status open_dumps();
  Status open_chardevs(const StopEvent& stop, std::function<void()> quit);
  Status use_chardevs();
  Status open_semihosting(machine::SemihostingHost& host);
  Status open_disks(const StopEvent& stop);
  Status open_links(const StopEvent& stop);
  Status open_shares();
  Status open_memories();
  Status open_vsocks();
  Status open_backends(const StopEvent& stop);
  machine::Semihosting* semihosting();

  const VmConfig& config_;
  std::mutex mutex_;                             // guards additions to what may be asked for meanwhile, and given_up_
  std::unique_ptr<devices::Chardevs> chardevs_;  ///< set with mutex_
  machine::MachineLines lines_;
  std::vector<devices::Chardev*> monitor_lines_;  ///< of config_.monitors
  devices::Chardev* gdb_line_ = nullptr;
  devices::Chardev* semihosting_line_ = nullptr;
  std::unique_ptr<machine::FlashBanks> flash_;
  std::vector<std::shared_ptr<devices::DiskBackend>> disks_;  ///< filled with mutex_
  std::vector<std::shared_ptr<devices::FrameLink>> links_;
  std::vector<std::shared_ptr<devices::PacketDump>> dumps_;  ///< filled with mutex_
  std::vector<std::shared_ptr<devices::ninep::SharedFolder>> shares_;
  std::vector<std::shared_ptr<devices::SharedMemory>> memories_;
  std::vector<std::shared_ptr<devices::vsock::HostSocket>> vsocks_;
  std::vector<std::shared_ptr<devices::vhost_user::Backend>> backends_;  ///< filled with mutex_
  std::unique_ptr<machine::Semihosting> semihosting_;                    ///< null: there is none; set with mutex_
  bool given_up_ = false;
};

}  // namespace armvisor::vmm
