#pragma once
// The calls that a guest's program makes of the debugger it was written for: "Semihosting for AArch32 and AArch64",
// version 2.0, with the extensions SH_EXT_EXIT_EXTENDED and SH_EXT_STDOUT_STDERR, as QEMU's system emulation serves
// them.
//
// R0 is the operation, R1 its parameter or the address of a block of them; R0 returns the result. All that the guest
// gives is read once and checked (GuestView); lengths, handles and names are bounded. Files are those of one folder or
// none at all. No call waits for anybody outside: the console's input is come back for, its output gives way when vCPUs
// are to stop, and so do long transfers of files. Handles are looked up with the lock held, but what is written to and
// read from the host is not: calls of other vCPUs go on meanwhile.
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "machine/hypercalls.h"
#include "machine/loader.h"
#include "machine/semihosting/console.h"
#include "machine/semihosting/folder.h"
#include "machine/semihosting/guest_view.h"

namespace armvisor::machine {

struct SemihostingOptions {
  std::string option = "--semihosting";  ///< for messages
  bool everybody = false;                ///< programs at PL0, too, may call
  std::optional<std::string> folder{};   ///< whose files the guest may have; nothing: none
  bool folder_needed = true;   ///< otherwise a folder that cannot be given is a warning, and the guest has no files
  std::string command_line{};  ///< of SYS_GET_CMDLINE
};
/// Words as one line, with a space between them.
std::string joined(const std::vector<std::string>& words);
/// What QEMU makes of the kernel's name and command line if it is given no other.
std::string kernel_command_line(const std::string& kernel, const std::string& append);

/// What the calls ask of the machine's owner. Called on vCPU threads, but wake().
class SemihostingHost {
 public:
  virtual HypercallHost::Time host_time() = 0;
  virtual void program_exit(u32 status) = 0;  ///< takes effect when the caller's run() returns
  virtual void sleep_in_call(u32 vcpu) = 0;   ///< when its run() returns, until wake_in_call() or an interrupt
  virtual void wake_in_call(u32 vcpu) = 0;    ///< (any thread)

 protected:
  ~SemihostingHost() = default;
};

class Semihosting {
 public:
  static constexpr std::size_t k_most_handles = 128;
  static constexpr u32 k_most_string = 1u << 20;  ///< bytes that one SYS_WRITE0 writes at most
  /// Bytes of a SYS_READ or SYS_WRITE that are moved even if vCPUs are to stop. A call that is cut has moved more.
  static constexpr u32 k_whole = 1u << 20;

  static Result<std::unique_ptr<Semihosting>> create(const SemihostingOptions& options,
                                                     semihosting::Console::Place console, SemihostingHost& host);

  /// Before a machine runs, again after each reset: no file is open. The largest part of RAM where the plan puts
  /// nothing is for heap and stack.
  void restart(const BootPlan& plan, const GuestRam& ram);
  /// The call that R0 and R1 of `s` say. False: `s` is as it was, and the vCPU is to make the call again when it has
  /// slept, or when it runs again. (any vCPU's thread)
  bool call(arm::CpuState& s, u32 vcpu, engine::CallMemory& memory);
  void hurry(bool begin);  ///< (any thread) as of Chardev: until all who began it have ended it, no call goes on
  semihosting::Console& console() { return *console_; }

 private:
  enum class HandleKind : u8 { Free, Input, Output, Error, Features, File };
  struct Handle {
    HandleKind kind = HandleKind::Free;
    std::shared_ptr<const Fd> file{};  ///< shared with the calls that are under way
    u64 position = 0;                  ///< in the list of features
  };
  struct Caller {
    semihosting::GuestView view;
    std::unique_lock<std::mutex> lock;  ///< of mutex_; let go for what may take long
    u32 vcpu;
    u32 parameter;               ///< R1
    std::array<u32, 4> words{};  ///< of its parameter block
  };
  /// R0; nothing: the call is to be made again.
  using Answer = std::optional<u32>;

  Semihosting(const SemihostingOptions& options, SemihostingHost& host);
  Answer serve(u32 operation, Caller& c);
#define CALL(name, number, parameters, help) Answer name(Caller& c);
#include "machine/semihosting/calls.inc"
#undef CALL
  Answer fail(int error);
  Answer done_or(int error) { return error ? fail(error) : Answer(0); }
  std::optional<std::string> text(Caller& c, u32 va, u32 length);
  std::string short_string(Caller& c, u32 va);
  u32 write_pieces(Caller& c, semihosting::ConsoleOutput* output, const Fd* file);
  static int standard_fd(HandleKind kind);
  Answer length_of(int fd);
  Handle* find(u32 handle);
  Answer open_as(HandleKind kind, Fd file = {});
  /// A transfer that has moved `done` bytes goes no further.
  bool is_to_end(u32 done) const { return hurried_ > 0 && done >= k_whole; }
  semihosting::ConsoleOutput* output_of(HandleKind kind);
  Answer read_file(Caller& c, const Fd& file);
  Answer read_features(Caller& c, Handle& handle);
  Answer read_input(Caller& c);
  u64 elapsed_ns();

  const SemihostingOptions options_;
  SemihostingHost& host_;
  std::optional<semihosting::Folder> folder_;
  std::unique_ptr<semihosting::Console> console_;
  std::atomic<int> hurried_{0};
  std::atomic<int> error_{0};    ///< of SYS_ERRNO
  std::mutex mutex_;             // guards what follows
  std::vector<Handle> handles_;  ///< by number; 0 is none, as with QEMU
  u64 started_ns_ = 0;
  u64 heap_base_ = 0, heap_end_ = 0;
};

}  // namespace armvisor::machine
