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
Error host_error(const std::string& expected, const std::string& advice) {
  return Error{ErrorKind::HostResource,
               "console: expected " + expected + ", the host says: " + std::strerror(errno) + "; " + advice};
}
}  // namespace

Result<ConsoleOption> ConsoleOption::parse(const std::string& option, std::string_view text) {
  if (text == "stdio") return ConsoleOption{Kind::Stdio, {}};
  if (text == "pty") return ConsoleOption{Kind::Pty, {}};
  if (text == "none") return ConsoleOption{Kind::None, {}};
  if (text.starts_with("file=") && text.size() > 5) return ConsoleOption{Kind::File, std::string(text.substr(5))};
  return Error{ErrorKind::BadArguments, option + ": expected stdio, pty, file=FILE or none, found '" +
                                            std::string(text) + "'; give one of these"};
}

Result<std::unique_ptr<Console>> Console::open(const ConsoleOption& option) {
  std::unique_ptr<Console> console(new Console());
  int in = -1, out = -1;
  switch (option.kind) {
    case ConsoleOption::Kind::None: return console;
    case ConsoleOption::Kind::Stdio:
      in = STDIN_FILENO;
      out = STDOUT_FILENO;
      console->stdio_ = true;
      break;
    case ConsoleOption::Kind::Pty:
      AV_TRY(console->open_pty());
      in = out = console->master_.get();
      break;
    case ConsoleOption::Kind::File:
      AV_TRY(console->open_file(option.path));
      out = console->file_.get();
      break;
  }
  AV_TRY_ASSIGN(console->host_, devices::HostConsole::create(in, out));
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
  std::fprintf(stderr, "armvisor: the console is on %s\n", name);
  return {};
}

Status Console::open_file(const std::string& path) {
  file_ = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file_) return host_error("to write " + path, "check the path and its permissions");
  return {};
}

Status Console::start(devices::HostConsole::Input input, std::function<void()> quit) {
  return host_ ? host_->start(std::move(input), std::move(quit)) : Status();
}

std::optional<TerminalSize> Console::size() const {
  winsize w;
  if (!stdio_ || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0) return std::nullopt;
  return TerminalSize{w.ws_col, w.ws_row};
}

void Console::stop() { host_.reset(); }

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
