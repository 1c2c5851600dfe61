#include "exec/copy.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/fd.h"
#include "base/host_error.h"
#include "base/log.h"
#include "base/thread.h"
#include "exec/attach.h"
#include "exec/tar_stream.h"
#include "vmm/control_path.h"

namespace armvisor::exec {
namespace {

constexpr int k_not_copied = 1;  ///< the status when something could not be

Error bad(std::string message) { return {ErrorKind::BadArguments, std::move(message)}; }

struct Pipe {
  Fd read, write;
  static Result<Pipe> create() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return host_error("cp: expected a pipe", errno, "end other programs");
    return Pipe{Fd(fds[0]), Fd(fds[1])};
  }
};

/// A path as a folder to be in and a name there; "." of what a folder has in it.
struct Place {
  std::string folder, name;
};

Place split(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path == "/") return {"/", "."};
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == path.npos ? path : path.substr(slash + 1);
  const std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (name == "..") return {path, "."};
  return {folder, name};
}

/// "FOLDER/." and "." are what is in it, and ".." has no name by which it could be copied.
bool is_content(const std::string& path) { return split(path).name == "."; }

enum class Kind : u8 { None, File, Folder };

/// What a destination is, and the folder that it would be in.
struct Destination {
  Kind kind = Kind::None;
  bool has_parent = false;
};

/// Where what is copied goes, by what is there.
Result<Place> target(const CopyPlace& to, const Destination& there, bool folder, const std::string& source) {
  const std::string name = split(source).name;
  const std::string at = to.machine.empty() ? to.path : to.machine + ":" + to.path;
  if (there.kind == Kind::Folder) return is_content(source) ? Place{to.path, "."} : Place{to.path, name};
  if (!there.has_parent) return bad("cp: expected a folder for " + at + " to be in, found none; make it first");
  if (there.kind == Kind::File && folder)
    return bad("cp: expected a folder to copy a folder into, found the file " + at + "; name another");
  if (there.kind == Kind::None && !folder && to.path.ends_with('/'))
    return bad("cp: expected a folder " + at + ", found none; make it first");
  return split(to.path);
}

/// Commands in the guest, within one time.
class Guest {
 public:
  explicit Guest(const CopyRequest& request)
      : machine_(request.source.machine + request.destination.machine),
        user_(request.user),
        limit_(request.timeout_ms) {}

  Result<Outcome> run(std::vector<std::string> command, const Session::Streams& streams) {
    using std::chrono::milliseconds;
    const auto gone = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began_).count();
    AttachRequest r;
    r.machine = machine_;
    r.command.command = std::move(command);
    r.command.user = user_;
    r.command.folder = "/";
    r.timeout_ms = limit_ == 0 ? 0 : std::max<u64>(limit_, static_cast<u64>(gone) + 1) - static_cast<u64>(gone);
    r.streams = streams;
    return attach(std::move(r));
  }

 private:
  const std::string machine_, user_;
  const u64 limit_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

/// What its programs say is that not all could be copied; whatever else became of them says more.
Outcome copied(Outcome o) {
  if (o.ending == Ending::Signalled || (o.ending == Ending::Exited && o.value != 0)) {
    o.message = fmt::format("cp: not all could be copied: tar in the guest ended with {} {}",
                            o.ending == Ending::Exited ? "status" : "signal", o.value);
    o.ending = Ending::Exited;
    o.value = k_not_copied;
  } else if (o.ending == Ending::NotFound || o.ending == Ending::NotExecutable) {
    o.message = "cp: expected the programs sh and tar in the guest, which copy there, found: " + o.message;
  }
  return o;
}

bool went_well(const Outcome& o) { return o.ending == Ending::Exited && o.value == 0; }

Outcome not_copied(const Error& error) {
  return {.ending = Ending::Exited, .value = k_not_copied, .message = error.message};
}

Result<Fd> open_null() {
  Fd fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!fd) return host_error("/dev/null: expected to open it", errno, "check /dev");
  return fd;
}

// --- into the guest

/// An outcome: it could not be found out.
Result<std::optional<Outcome>> look(Guest& guest, const std::string& path, Destination& there) {
  AV_TRY_ASSIGN(const Fd null, open_null());
  constexpr int k_folder = 10, k_file = 11, k_parent = 12, k_nothing = 13;
  const std::string script = fmt::format(
      "if [ -d \"$1\" ]; then exit {}; elif [ -e \"$1\" ] || [ -L \"$1\" ]; then exit {}; elif [ -d \"$2\" ]; then "
      "exit {}; fi; exit {}",
      k_folder, k_file, k_parent, k_nothing);
  AV_TRY_ASSIGN(Outcome o, guest.run({"/bin/sh", "-c", script, "sh", path, split(path).folder},
                                     {null.get(), null.get(), STDERR_FILENO}));
  const u32 said = o.ending == Ending::Exited ? o.value : 0;
  if (said < k_folder || said > k_nothing) return std::optional(copied(std::move(o)));
  there.kind = said == k_folder ? Kind::Folder : said == k_file ? Kind::File : Kind::None;
  there.has_parent = said != k_nothing;
  return std::optional<Outcome>();
}

std::vector<std::string> unpack_in(const std::string& folder) { return {"tar", "-x", "-p", "-f", "-", "-C", folder}; }

Result<Outcome> copy_in(const CopyRequest& r) {
  Guest guest(r);
  if (r.source.path == "-") {
    AV_TRY_ASSIGN(Outcome o, guest.run(unpack_in(r.destination.path), {}));
    return copied(std::move(o));
  }
  struct stat s {};
  if ((r.follow ? ::stat : ::lstat)(r.source.path.c_str(), &s) != 0)
    return bad("cp: expected a file or a folder " + r.source.path + ", the host says: " + std::strerror(errno) +
               "; check the path");
  Destination there;
  AV_TRY_ASSIGN(auto ended, look(guest, r.destination.path, there));
  if (ended) return *std::move(ended);
  AV_TRY_ASSIGN(const Place to, target(r.destination, there, S_ISDIR(s.st_mode), r.source.path));
  AV_TRY_ASSIGN(Pipe pipe, Pipe::create());
  std::string source = r.source.path;
  while (source.size() > 1 && source.ends_with('/')) source.pop_back();
  Status written;
  AV_TRY_ASSIGN(std::thread writer,
                start_quiet_thread(ThreadKind::Session, "cp", [&written, &source, &to, &r, fd = std::move(pipe.write)] {
                  written = write_tar(source, to.name, r.follow, fd.get());
                }));
  Result<Outcome> o = guest.run(unpack_in(to.folder), {pipe.read.get(), STDOUT_FILENO, STDERR_FILENO});
  pipe.read.reset();  // the writer waits for nobody any more
  writer.join();
  if (!o) return o.error();
  // A writer whose reader is gone has no more to say than that.
  if (went_well(*o) && !written) return not_copied(written.error());
  if (o->ending == Ending::Exited && !written) say(written.error().message);
  return copied(*std::move(o));
}

// --- out of the guest

/// What the guest sends is made into files by a process of its own, with bounds.
class Receiver {
 public:
  static Result<Receiver> start(Pipe& pipe, const Place& to, const std::string& from, u64 most) {
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid < 0) return host_error("cp: expected a process", errno, "end other programs");
    if (pid == 0) {
      pipe.write.reset();
      if (getppid() != self) _exit(1);
      const rlimit file{most, most};
      (void)setrlimit(RLIMIT_FSIZE, &file);
      (void)::signal(SIGXFSZ, SIG_IGN);
      const Status made = read_tar(pipe.read.get(), to.folder, from, to.name, {.bytes = most});
      if (!made) say(made.error().message);
      _exit(made ? 0 : 1);
    }
    pipe.read.reset();
    return Receiver(pid);
  }
  explicit Receiver(pid_t pid) : pid_(pid) {}
  Receiver(Receiver&& o) noexcept : pid_(std::exchange(o.pid_, -1)) {}
  Receiver& operator=(Receiver&&) = delete;
  ~Receiver() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  /// Whether all that came was made into files.
  bool wait() {
    int status = 1;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  pid_t pid_;
};

Destination look_here(const std::string& path) {
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  const auto own = std::filesystem::symlink_status(path, none);
  const Kind kind = std::filesystem::is_directory(status) ? Kind::Folder
                    : std::filesystem::exists(own)        ? Kind::File
                                                          : Kind::None;
  return {kind, std::filesystem::is_directory(split(path).folder, none)};
}

/// Whether the guest's source is a folder.
Result<std::optional<Outcome>> look_at_source(Guest& guest, const CopyRequest& r, bool& folder) {
  Destination there;
  AV_TRY_ASSIGN(auto ended, look(guest, r.source.path, there));
  if (ended) return std::optional(*std::move(ended));
  if (there.kind == Kind::None)
    return bad("cp: expected a file or a folder " + r.source.machine + ":" + r.source.path +
               ", found none; check the path");
  folder = there.kind == Kind::Folder;
  return std::optional<Outcome>();
}

std::vector<std::string> pack_in(const CopyRequest& r, const Place& from) {
  std::vector<std::string> words = {"tar", "-c", "-f", "-", "-C", from.folder};
  if (r.follow) words.insert(words.begin() + 1, "-h");
  words.push_back(from.name == "." ? "." : "./" + from.name);
  return words;
}

Result<Outcome> copy_out(const CopyRequest& r) {
  Guest guest(r);
  const Place from = split(r.source.path);
  AV_TRY_ASSIGN(const Fd null, open_null());
  if (r.destination.path == "-") {
    AV_TRY_ASSIGN(Outcome o, guest.run(pack_in(r, from), {null.get(), STDOUT_FILENO, STDERR_FILENO}));
    return copied(std::move(o));
  }
  bool folder = false;
  AV_TRY_ASSIGN(auto ended, look_at_source(guest, r, folder));
  if (ended) return *std::move(ended);
  AV_TRY_ASSIGN(const Place to, target(r.destination, look_here(r.destination.path), folder, r.source.path));
  AV_TRY_ASSIGN(Pipe pipe, Pipe::create());
  AV_TRY_ASSIGN(Receiver receiver, Receiver::start(pipe, to, from.name, r.most));
  Result<Outcome> o = guest.run(pack_in(r, from), {null.get(), pipe.write.get(), STDERR_FILENO});
  pipe.write.reset();
  if (!o) return o.error();
  // Of an archive that was cut off nothing more is to come.
  if (o->ending != Ending::Exited && o->ending != Ending::Signalled && o->ending != Ending::OutputLost)
    return copied(*std::move(o));
  const bool made = receiver.wait();
  if (!made) return Outcome{.ending = Ending::Exited, .value = k_not_copied, .message = "cp: not all could be copied"};
  return copied(*std::move(o));
}

}  // namespace

Result<CopyPlace> parse_copy_place(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos || text.find('/') < colon) return CopyPlace{.machine = {}, .path = text};
  CopyPlace place{.machine = text.substr(0, colon), .path = text.substr(colon + 1)};
  AV_TRY(vmm::check_machine_name(place.machine));
  if (!place.path.starts_with('/') || place.path.find('\0') != place.path.npos)
    return bad("cp: expected NAME:/PATH with an absolute path in the guest, found '" + text + "'; begin it with a /");
  return place;
}

Result<Outcome> copy(const CopyRequest& request) {
  if (request.source.machine.empty() == request.destination.machine.empty())
    return bad("cp: expected NAME:/PATH of a running machine as one of source and destination, found it as " +
               std::string(request.source.machine.empty() ? "none" : "both") + "; change it");
  for (const CopyPlace* place : {&request.source, &request.destination})
    if (place->path.empty()) return bad("cp: expected a path, found an empty one; name a file or a folder");
  return request.source.machine.empty() ? copy_in(request) : copy_out(request);
}

}  // namespace armvisor::exec
