#include "vmm/console.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace armvisor::vmm {
namespace {

using devices::ConsoleOption;

Error host_error(const std::string& expected, const std::string& advice) {
  return Error{ErrorKind::HostResource,
               "console: expected " + expected + ", the host says: " + std::strerror(errno) + "; " + advice};
}
}  // namespace

Result<std::unique_ptr<Console>> Console::open(const ConsoleOption& option, const std::vector<std::string>& inputs) {
  std::unique_ptr<Console> console(new Console(option));
  if (option.kind == ConsoleOption::Kind::Pty) AV_TRY(console->open_pty());
  if (option.kind == ConsoleOption::Kind::File) {
    AV_TRY_ASSIGN(OutputFile file, OutputFile::open(option.option, option.path));
    AV_TRY(file.differs_from(inputs));
    console->file_ = std::move(file);
  }
  return console;
}

/// A pseudo-terminal that users may open and leave at will. We hold its far end open too, so that leaving is no error;
/// what nobody reads is dropped.
Status Console::open_pty() {
  master_ = Fd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  char name[128];
  if (!master_ || grantpt(master_.get()) != 0 || unlockpt(master_.get()) != 0 ||
      ptsname_r(master_.get(), name, sizeof name) != 0)
    return host_error("a pseudo-terminal", "send the console elsewhere");
  slave_ = Fd(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave_) return host_error(std::string("to open ") + name, "send the console elsewhere");
  say(std::string("the console is on ") + name);
  return {};
}

Result<std::unique_ptr<devices::HostConsole>> Console::make_host() {
  switch (kind_) {
    case ConsoleOption::Kind::None: break;
    case ConsoleOption::Kind::Stdio: return devices::HostConsole::create(STDIN_FILENO, STDOUT_FILENO, keys_);
    case ConsoleOption::Kind::Pty: return devices::HostConsole::create(master_.get(), master_.get());
    case ConsoleOption::Kind::File:
      AV_TRY(file_->empty());
      return devices::HostConsole::create(-1, std::move(*file_).take());
  }
  return std::unique_ptr<devices::HostConsole>();
}

Status Console::start(devices::HostConsole::Input input, devices::HostConsole::Actions actions) {
  AV_TRY_ASSIGN(auto host, make_host());
  const std::lock_guard lock(mutex_);
  host_ = std::move(host);
  if (!host_) return {};
  if (given_up_) host_->give_up();
  return host_->start(std::move(input), std::move(actions));
}

std::optional<TerminalSize> Console::size() const {
  winsize w;
  if (kind_ != ConsoleOption::Kind::Stdio || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0) return std::nullopt;
  return TerminalSize{w.ws_col, w.ws_row};
}

void Console::stop() {
  std::unique_ptr<devices::HostConsole> host;
  const std::unique_lock lock(mutex_);
  host.swap(host_);
}

void Console::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  if (host_) host_->give_up();
}

void Console::drain() {
  if (host_) host_->drain();
}

void Console::continued() {
  const std::lock_guard lock(mutex_);
  if (host_) host_->continued();
}

void Console::room() {
  if (host_) host_->room();
}

void Console::write(std::span<const u8> bytes) {
  if (!host_) return;
  if (!master_) return host_->write(bytes);
  // Nobody may be there to read; a short write then means that the terminal's buffer is full.
  [[maybe_unused]] const ssize_t n = ::write(master_.get(), bytes.data(), bytes.size());
}

}  // namespace armvisor::vmm
