#include "machine/semihosting/semihosting.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace armvisor::machine {
namespace {

using semihosting::ConsoleOutput;

constexpr u32 k_failed = ~0u;
constexpr u32 k_corrupted = 0xdeadbeef;         ///< R0 after calls that return nothing, as QEMU leaves it
constexpr u32 k_application_exit = 0x20026;     ///< ADP_Stopped_ApplicationExit
constexpr u64 k_ns_per_second = 1'000'000'000;  ///< a tick is a nanosecond
constexpr std::size_t k_piece = 64 * 1024;      ///< of files and strings
constexpr std::array<u8, 5> k_features = {'S', 'H', 'F', 'B', 0x03};  ///< EXIT_EXTENDED and STDOUT_STDERR

/// Of the modes "r", "rb", "r+", "r+b", "w"... that SYS_OPEN has.
constexpr std::array<int, 12> k_open_flags = {
    O_RDONLY,
    O_RDONLY,
    O_RDWR,
    O_RDWR,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_RDWR | O_CREAT | O_TRUNC,
    O_RDWR | O_CREAT | O_TRUNC,
    O_WRONLY | O_CREAT | O_APPEND,
    O_WRONLY | O_CREAT | O_APPEND,
    O_RDWR | O_CREAT | O_APPEND,
    O_RDWR | O_CREAT | O_APPEND,
};

/// The largest gap between the segments of a plan in RAM; of equal ones the first.
std::pair<u64, u64> largest_gap(const BootPlan& plan, const GuestRam& ram) {
  std::vector<std::pair<u64, u64>> taken;
  for (const Segment& s : plan.segments) taken.emplace_back(s.pa.value, s.pa.value + s.size());
  std::ranges::sort(taken);
  const u64 end = std::min(ram.base().value + ram.size(), u64{1} << 32);  // what a 32-bit address names
  taken.emplace_back(end, end);
  std::pair<u64, u64> best{ram.base().value, ram.base().value};
  u64 at = ram.base().value;
  for (const auto& [first, last] : taken) {
    if (first > at && at < end && std::min(first, end) - at > best.second - best.first)
      best = {at, std::min(first, end)};
    at = std::max(at, last);
  }
  return best;
}

}  // namespace

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (&word == &words.front() ? "" : " ") + word;
  return line;
}

std::string kernel_command_line(const std::string& kernel, const std::string& append) {
  if (kernel.empty()) return {};
  std::vector<std::string> words{kernel};
  std::istringstream rest(append);
  for (std::string word; std::getline(rest, word, ' ');)
    if (!word.empty()) words.push_back(word);
  return joined(words);
}

Semihosting::Semihosting(const SemihostingOptions& options, SemihostingHost& host) : options_(options), host_(host) {}

Result<std::unique_ptr<Semihosting>> Semihosting::create(const SemihostingOptions& options,
                                                         semihosting::Console::Place console, SemihostingHost& host) {
  std::unique_ptr<Semihosting> all(new Semihosting(options, host));
  if (options.folder) {
    auto folder = semihosting::Folder::open(options.option, *options.folder);
    if (!folder && options.folder_needed) return folder.take_error();
    if (folder)
      all->folder_ = *std::move(folder);
    else
      AV_LOG(Warn, "semihosting has no files: %s", folder.error().message.c_str());
  }
  AV_TRY_ASSIGN(all->console_,
                semihosting::Console::open(console, {.sleep = [&host](u32 vcpu) { host.sleep_in_call(vcpu); },
                                                     .wake = [&host](u32 vcpu) { host.wake_in_call(vcpu); }}));
  return all;
}

void Semihosting::restart(const BootPlan& plan, const GuestRam& ram) {
  const std::lock_guard lock(mutex_);
  handles_.clear();
  handles_.resize(1);
  error_ = 0;
  started_ns_ = host_.host_time().monotonic_ns;
  std::tie(heap_base_, heap_end_) = largest_gap(plan, ram);
}

void Semihosting::hurry(bool begin) {
  hurried_ += begin ? 1 : -1;
  console_->hurry(begin);
}

bool Semihosting::call(arm::CpuState& s, u32 vcpu, engine::CallMemory& memory) {
  Caller c{.view = semihosting::GuestView(memory), .lock = std::unique_lock(mutex_), .vcpu = vcpu, .parameter = s.r[1]};
  if (hurried_ > 0) return false;
  const Answer answer = serve(s.r[0], c);
  if (answer) s.r[0] = *answer;
  return answer.has_value();
}

Semihosting::Answer Semihosting::serve(u32 operation, Caller& c) {
  switch (operation) {
#define CALL(name, number, parameters, help)                                                                          \
  case number:                                                                                                        \
    if (parameters > 0 && !c.view.read_words(c.parameter, std::span(c.words).first(parameters))) return fail(EFAULT); \
    return name(c);
#include "machine/semihosting/calls.inc"
#undef CALL
    default: return fail(ENOSYS);
  }
}

Semihosting::Answer Semihosting::fail(int error) {
  error_ = error;
  return k_failed;
}

/// A name of `length` bytes and a zero, as QEMU wants it; nothing, with an error: it cannot be read, or is no such
/// name.
std::optional<std::string> Semihosting::text(Caller& c, u32 va, u32 length) {
  std::string name(std::min<std::size_t>(length, semihosting::Folder::k_longest_path) + 1, '\0');
  const int error = length > semihosting::Folder::k_longest_path                          ? ENAMETOOLONG
                    : !c.view.read(va, {reinterpret_cast<u8*>(name.data()), name.size()}) ? EFAULT
                    : name.back() != '\0'                                                 ? EINVAL
                                                                                          : 0;
  if (error) return fail(error), std::nullopt;
  return name.substr(0, name.find('\0'));
}

/// What is at `va` up to a zero; empty: there is none within a page or two.
std::string Semihosting::short_string(Caller& c, u32 va) {
  std::string string;
  auto ended = c.view.read_string(va, string);
  if (ended == false) ended = c.view.read_string(va + static_cast<u32>(string.size()), string);
  return ended.value_or(false) ? string : std::string();
}

// --- handles

Semihosting::Handle* Semihosting::find(u32 handle) {
  if (handle >= handles_.size() || handles_[handle].kind == HandleKind::Free) return nullptr;
  return &handles_[handle];
}

/// The lowest that is free, from 1 on.
Semihosting::Answer Semihosting::open_as(HandleKind kind, Fd file) {
  const auto at =
      std::find_if(handles_.begin() + 1, handles_.end(), [](const Handle& h) { return h.kind == HandleKind::Free; });
  const auto n = static_cast<u32>(at - handles_.begin());
  if (n >= k_most_handles) return fail(EMFILE);
  if (at == handles_.end()) handles_.emplace_back();
  handles_[n] = {.kind = kind, .file = std::make_shared<const Fd>(std::move(file))};
  return n;
}

ConsoleOutput* Semihosting::output_of(HandleKind kind) {
  switch (kind) {
    case HandleKind::Output: return &console_->standard_output();
    case HandleKind::Error: return &console_->standard_error();
    default: return nullptr;
  }
}

Semihosting::Answer Semihosting::Open(Caller& c) {
  const auto [name_at, mode, length] = std::tuple{c.words[0], c.words[1], c.words[2]};
  if (mode >= k_open_flags.size()) return fail(EINVAL);
  // Of these names QEMU takes no notice of the length.
  const std::string special = short_string(c, name_at);
  if (special == ":tt")
    return open_as(mode < 4 ? HandleKind::Input : mode < 8 ? HandleKind::Output : HandleKind::Error);
  if (special == ":semihosting-features") return mode < 2 ? open_as(HandleKind::Features) : fail(EACCES);
  const auto name = text(c, name_at, length);
  if (!name) return k_failed;
  if (!folder_) return fail(EACCES);
  Fd file;
  if (const int error = folder_->open_file(*name, k_open_flags[mode], file)) return fail(error);
  return open_as(HandleKind::File, std::move(file));
}

Semihosting::Answer Semihosting::Close(Caller& c) {
  Handle* const handle = find(c.words[0]);
  if (!handle) return fail(EBADF);
  *handle = {};
  return 0;
}

Semihosting::Answer Semihosting::Write(Caller& c) {
  const u32 length = c.words[2];
  Handle* const handle = find(c.words[0]);
  ConsoleOutput* const output = handle ? output_of(handle->kind) : nullptr;
  if (!output && (!handle || handle->kind != HandleKind::File)) {
    fail(EBADF);
    return length;
  }
  const std::shared_ptr<const Fd> file = handle->file;
  c.lock.unlock();
  return length - write_pieces(c, output, file.get());
}

/// How much was written.
u32 Semihosting::write_pieces(Caller& c, ConsoleOutput* output, const Fd* file) {
  const u32 length = c.words[2];
  std::vector<u8> bytes(std::min<std::size_t>(length, k_piece));
  u32 done = 0;
  while (done < length && !is_to_end(done)) {
    const auto piece = std::span(bytes).first(std::min<std::size_t>(length - done, k_piece));
    if (!c.view.read(c.words[1] + done, piece)) {
      fail(EFAULT);
      break;
    }
    const auto n =
        output ? static_cast<ssize_t>(output->write(piece)) : ::write(file->get(), piece.data(), piece.size());
    if (n < 0) fail(errno);
    if (n <= 0) break;
    done += static_cast<u32>(n);
  }
  return done;
}

Semihosting::Answer Semihosting::Read(Caller& c) {
  Handle* const handle = find(c.words[0]);
  switch (handle ? handle->kind : HandleKind::Free) {
    case HandleKind::Input: return read_input(c);
    case HandleKind::Features: return read_features(c, *handle);
    case HandleKind::File: {
      const std::shared_ptr<const Fd> file = handle->file;
      c.lock.unlock();
      return read_file(c, *file);
    }
    default: fail(EBADF); return c.words[2];
  }
}

Semihosting::Answer Semihosting::read_file(Caller& c, const Fd& file) {
  const u32 length = c.words[2];
  std::vector<u8> bytes(std::min<std::size_t>(length, k_piece));
  u32 done = 0;
  while (done < length && !is_to_end(done)) {
    const ssize_t n = ::read(file.get(), bytes.data(), std::min<std::size_t>(length - done, k_piece));
    if (n < 0) fail(errno);
    if (n <= 0) break;
    if (!c.view.write(c.words[1] + done, std::span(bytes).first(static_cast<std::size_t>(n)))) {
      fail(EFAULT);
      break;
    }
    done += static_cast<u32>(n);
  }
  return length - done;
}

Semihosting::Answer Semihosting::read_features(Caller& c, Handle& handle) {
  const u32 length = c.words[2];
  const auto left = std::span(k_features).subspan(handle.position);
  const auto part = left.first(std::min<std::size_t>(left.size(), length));
  if (!c.view.write(c.words[1], part)) {
    fail(EFAULT);
    return length;
  }
  handle.position += part.size();
  return length - static_cast<u32>(part.size());
}

/// As much as there is. That the guest's buffer can be written is seen before anything is taken.
Semihosting::Answer Semihosting::read_input(Caller& c) {
  const u32 length = c.words[2];
  if (length == 0) return 0;
  std::array<u8, k_page_size> bytes{};
  const auto most = std::span(bytes).first(std::min<std::size_t>(length, k_page_size - (c.words[1] & k_page_mask)));
  if (!c.view.may_write(c.words[1])) {
    fail(EFAULT);
    return length;
  }
  const auto n = console_->read_standard_input(most, c.vcpu);
  if (!n) return std::nullopt;
  (void)c.view.write(c.words[1], most.first(*n));
  return length - static_cast<u32>(*n);
}

Semihosting::Answer Semihosting::Istty(Caller& c) {
  const Handle* const handle = find(c.words[0]);
  if (!handle) return fail(EBADF);
  const int fd = standard_fd(handle->kind);
  return fd >= 0 && ::isatty(fd) == 1;
}

/// Of the process, for what ":tt" is; -1: it is none of these.
int Semihosting::standard_fd(HandleKind kind) {
  switch (kind) {
    case HandleKind::Input: return STDIN_FILENO;
    case HandleKind::Output: return STDOUT_FILENO;
    case HandleKind::Error: return STDERR_FILENO;
    default: return -1;
  }
}

Semihosting::Answer Semihosting::Seek(Caller& c) {
  Handle* const handle = find(c.words[0]);
  if (!handle) return fail(EBADF);
  if (handle->kind == HandleKind::Features) {
    if (c.words[1] > k_features.size()) return fail(EINVAL);
    handle->position = c.words[1];
    return 0;
  }
  if (handle->kind != HandleKind::File) return fail(ESPIPE);
  return done_or(::lseek(handle->file->get(), c.words[1], SEEK_SET) < 0 ? errno : 0);
}

Semihosting::Answer Semihosting::Flen(Caller& c) {
  const Handle* const handle = find(c.words[0]);
  if (!handle) return fail(EBADF);
  if (handle->kind == HandleKind::Features) return static_cast<u32>(k_features.size());
  return length_of(handle->kind == HandleKind::File ? handle->file->get() : standard_fd(handle->kind));
}

/// As the host says it: 0 for a terminal or a pipe.
Semihosting::Answer Semihosting::length_of(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return fail(errno);
  if (st.st_size > 0x7fff'ffff) return fail(EOVERFLOW);
  return static_cast<u32>(st.st_size);
}

// --- names

Semihosting::Answer Semihosting::Remove(Caller& c) {
  const auto name = text(c, c.words[0], c.words[1]);
  if (!name) return k_failed;
  return folder_ ? done_or(folder_->remove(*name)) : fail(EACCES);
}

Semihosting::Answer Semihosting::Rename(Caller& c) {
  const auto from = text(c, c.words[0], c.words[1]), to = text(c, c.words[2], c.words[3]);
  if (!from || !to) return k_failed;
  return folder_ ? done_or(folder_->rename(*from, *to)) : fail(EACCES);
}

Semihosting::Answer Semihosting::Tmpnam(Caller& c) {
  const std::string name = fmt::format("armvisor-{:x}{:02x}", ::getpid(), c.words[1] & 0xff);
  if (c.words[2] < name.size() + 1) return fail(EINVAL);
  const bool written = c.view.write(c.words[0], {reinterpret_cast<const u8*>(name.c_str()), name.size() + 1});
  return done_or(written ? 0 : EFAULT);
}

Semihosting::Answer Semihosting::System(Caller&) { return fail(ENOSYS); }

// --- the console

Semihosting::Answer Semihosting::Writec(Caller& c) {
  c.lock.unlock();
  u8 byte = 0;
  if (c.view.read(c.parameter, {&byte, 1}))
    console_->output().write({&byte, 1});
  else
    fail(EFAULT);
  return k_corrupted;
}

Semihosting::Answer Semihosting::Write0(Caller& c) {
  c.lock.unlock();
  for (u32 done = 0; done < k_most_string;) {
    std::string part;
    const auto ended = c.view.read_string(c.parameter + done, part);
    if (!ended) fail(EFAULT);
    console_->output().write({reinterpret_cast<const u8*>(part.data()), part.size()});
    if (ended.value_or(true)) break;
    done += static_cast<u32>(part.size());
  }
  return k_corrupted;
}

Semihosting::Answer Semihosting::Readc(Caller& c) {
  u8 byte = 0;
  const auto n = console_->read({&byte, 1}, c.vcpu);
  if (!n) return std::nullopt;
  return *n == 1 ? byte : k_failed;
}

// --- the rest

Semihosting::Answer Semihosting::Iserror(Caller& c) { return static_cast<s32>(c.words[0]) < 0; }

Semihosting::Answer Semihosting::Errno(Caller&) { return static_cast<u32>(error_.load()); }

u64 Semihosting::elapsed_ns() { return host_.host_time().monotonic_ns - started_ns_; }

Semihosting::Answer Semihosting::Clock(Caller&) { return static_cast<u32>(elapsed_ns() / (k_ns_per_second / 100)); }

Semihosting::Answer Semihosting::Time(Caller&) {
  return static_cast<u32>(host_.host_time().realtime_ns / k_ns_per_second);
}

Semihosting::Answer Semihosting::Elapsed(Caller& c) {
  const u64 ticks = elapsed_ns();
  const bool written = c.view.write_word(c.parameter, static_cast<u32>(ticks)) &&
                       c.view.write_word(c.parameter + 4, static_cast<u32>(ticks >> 32));
  return done_or(written ? 0 : EFAULT);
}

Semihosting::Answer Semihosting::Tickfreq(Caller&) { return static_cast<u32>(k_ns_per_second); }

Semihosting::Answer Semihosting::GetCmdline(Caller& c) {
  const std::string& line = options_.command_line;
  const auto size = static_cast<u32>(line.size() + 1);
  if (size > c.words[1]) return fail(E2BIG);
  const bool written = c.view.write_word(c.parameter + 4, size - 1) &&
                       c.view.write(c.words[0], {reinterpret_cast<const u8*>(line.c_str()), size});
  return done_or(written ? 0 : EFAULT);
}

/// Heap base and limit, stack base and limit: both grow towards each other in one place.
Semihosting::Answer Semihosting::Heapinfo(Caller& c) {
  const auto base = static_cast<u32>(heap_base_), end = static_cast<u32>(std::min<u64>(heap_end_, ~u32{0}));
  u32 at = c.words[0];
  for (const u32 word : {base, end, end, base}) {
    if (!c.view.write_word(at, word)) return fail(EFAULT);
    at += 4;
  }
  return 0;
}

Semihosting::Answer Semihosting::Exit(Caller& c) {
  host_.program_exit(c.parameter == k_application_exit ? 0 : 1);
  return c.parameter;
}

Semihosting::Answer Semihosting::ExitExtended(Caller& c) {
  host_.program_exit(c.words[0] == k_application_exit ? c.words[1] & 0xff : 1);
  return c.parameter;
}

}  // namespace armvisor::machine
