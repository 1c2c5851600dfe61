#include "exec/confined.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <optional>
#include <span>
#include <string_view>

#include "base/host_error.h"

namespace armvisor::exec {
namespace {

constexpr int k_look_again_ms = 50;         ///< whether patience is over
constexpr int k_wait_for_killed_ms = 2000;  ///< one that waits for a disk ends later, by itself
constexpr int k_no_memory = 99;             ///< the status of a process that had not enough

// --- what is said: a byte with the descriptors, then the kind (0: findings; 1 and more: an error's), the number of
// words, and each word behind its size

void put(std::string& bytes, u64 value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); }

std::string encode(const Result<Findings>& result) {
  std::string bytes;
  const std::vector<std::string> error = {result ? "" : result.error().message};
  const std::vector<std::string>& words = result ? result->words : error;
  put(bytes, result ? 0 : 1 + static_cast<u64>(result.error().kind));
  put(bytes, words.size());
  for (const std::string& word : words) {
    put(bytes, word.size());
    bytes += word;
  }
  return bytes;
}

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}
  std::optional<u64> number() {
    u64 value;
    if (bytes_.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  std::optional<std::string> word() {
    const auto size = number();
    if (!size || *size > bytes_.size()) return std::nullopt;
    std::string word(bytes_.substr(0, *size));
    bytes_.remove_prefix(*size);
    return word;
  }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

/// Nothing: not all of it came.
std::optional<Result<Findings>> decode(std::string_view bytes, std::vector<Fd> files) {
  Decoder decoder(bytes);
  const auto kind = decoder.number(), count = decoder.number();
  if (!kind || !count || *count > bytes.size()) return std::nullopt;
  Findings findings{.files = std::move(files)};
  for (u64 n = 0; n < *count; ++n) {
    auto word = decoder.word();
    if (!word) return std::nullopt;
    findings.words.push_back(*std::move(word));
  }
  if (!decoder.at_end() || *kind > 1 + static_cast<u64>(ErrorKind::Internal)) return std::nullopt;
  if (*kind == 0) return Result<Findings>(std::move(findings));
  if (findings.words.size() != 1) return std::nullopt;
  return Result<Findings>(Error{static_cast<ErrorKind>(*kind - 1), findings.words[0]});
}

union Rights {
  cmsghdr head;
  char bytes[CMSG_SPACE(sizeof(int) * Findings::k_most_files)];
};

bool send_files(int to, std::span<const Fd> files) {
  char byte = 0;
  iovec vector = {&byte, 1};
  Rights rights{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (files.size() > Findings::k_most_files) return false;
  if (!files.empty()) {
    message.msg_control = rights.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * files.size());
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * files.size());
    for (std::size_t n = 0; n < files.size(); ++n) {
      const int file = files[n].get();
      std::memcpy(CMSG_DATA(head) + n * sizeof file, &file, sizeof file);
    }
  }
  return sendmsg(to, &message, MSG_NOSIGNAL) == 1;
}

bool send_bytes(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Bytes, and the descriptors that come with them. As recvmsg(2) returns.
ssize_t receive(int from, std::span<char> bytes, std::vector<Fd>& files) {
  iovec vector = {bytes.data(), bytes.size()};
  Rights rights{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes;
  message.msg_controllen = sizeof rights.bytes;
  const ssize_t n = recvmsg(from, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) return n;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= head->cmsg_len; at += sizeof(int)) {
      int file = -1;
      std::memcpy(&file, CMSG_DATA(head) + at, sizeof file);
      files.emplace_back(file);
    }
  }
  return n;
}

// --- the process

u64 addresses_in_use() {
  u64 pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<u64>(sysconf(_SC_PAGESIZE));
}

void limit(__rlimit_resource_t what, u64 most) {
  rlimit now{};
  if (getrlimit(what, &now) != 0) return;
  now.rlim_cur = now.rlim_max = std::min<rlim_t>(most, now.rlim_max);
  (void)setrlimit(what, &now);
}

[[noreturn]] void work_here(int to, const Confines& confines, const std::function<Result<Findings>()>& work) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, confines.file_size);
  signal(SIGXFSZ, SIG_IGN);  // a write then says EFBIG
  limit(RLIMIT_AS, addresses_in_use() + confines.memory);
  try {
    const Result<Findings> result = work();
    const bool told = send_files(to, result ? std::span<const Fd>(result->files) : std::span<const Fd>()) &&
                      send_bytes(to, encode(result));
    _exit(told ? 0 : 1);
  } catch (const std::bad_alloc&) {
    _exit(k_no_memory);
  }
}

class Worker {
 public:
  explicit Worker(pid_t id) : id_(id) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { (void)end(); }
  /// Its status, as waitpid(2) has it; nothing: it does not end at once.
  std::optional<int> end() {
    if (ended_) return status_;
    ended_ = true;
    kill(id_, SIGKILL);  // one that has said all is on its way out, and its status known
    for (int ms = 0; ms < k_wait_for_killed_ms; ++ms) {
      int status = 0;
      const pid_t result = waitpid(id_, &status, WNOHANG);
      if (result == id_) status_ = status;
      if (result == id_ || (result < 0 && errno != EINTR)) break;
      usleep(1000);
    }
    return status_;
  }

 private:
  const pid_t id_;
  bool ended_ = false;
  std::optional<int> status_;
};

Error ended_without_a_word(const std::string& what, const Confines& confines, std::optional<int> status) {
  if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == k_no_memory)
    return {ErrorKind::BadInput,
            fmt::format("{}: expected that at most {} MiB of memory are needed to look into it, found more; check it",
                        what, confines.memory >> 20)};
  const std::string how = status && WIFSIGNALED(*status) ? fmt::format(" by signal {}", WTERMSIG(*status)) : "";
  return {ErrorKind::BadInput,
          fmt::format("{}: expected to look into it, found that the process which did has ended{}; "
                      "check it",
                      what, how)};
}

/// All that the process says, until it ends.
Status listen(int from, Patience& patience, std::string& bytes, std::vector<Fd>& files) {
  std::vector<char> piece(std::size_t{1} << 16);
  for (;;) {
    AV_TRY(patience.check());
    pollfd p = {from, POLLIN, 0};
    if (poll(&p, 1, k_look_again_ms) <= 0) continue;
    const ssize_t n = receive(from, piece, files);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0 || bytes.size() > Findings::k_most_words || files.size() > Findings::k_most_files) return {};
    bytes.append(piece.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace

Result<Findings> work_confined(const std::string& what, const Confines& confines, Patience& patience,
                               const std::function<Result<Findings>()>& work) {
  const auto no_process = [&] {
    return host_error(what + ": expected a process to look into it", errno, "end other programs");
  };
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return no_process();
  const Fd ours(pair[0]);
  Fd theirs(pair[1]);
  const pid_t self = getpid();
  const pid_t id = fork();
  if (id < 0) return no_process();
  if (id == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self) _exit(1);
    work_here(theirs.get(), confines, work);
  }
  Worker worker(id);
  theirs.reset();
  std::string bytes;
  std::vector<Fd> files;
  AV_TRY(listen(ours.get(), patience, bytes, files));
  const auto status = worker.end();
  AV_TRY(patience.check());  // a terminal's signal may have ended the work, too
  auto result = bytes.empty() ? std::nullopt : decode(std::string_view(bytes).substr(1), std::move(files));
  if (!result) return ended_without_a_word(what, confines, status);
  return *std::move(result);
}

}  // namespace armvisor::exec
