#include "base/outlet.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/thread.h"

namespace armvisor {
namespace {

using Clock = std::chrono::steady_clock;
/// A pipe takes this much whole or not at all (PIPE_BUF), so what was written is known exactly.
constexpr std::size_t k_piece = 4096;
/// Once given up: a reader that takes nothing for this long is no reader.
constexpr std::chrono::milliseconds k_patience{250}, k_longest_end{1000};

/// Waits for a reader of the FIFO. -1 and errno: there is no such FIFO any more.
int open_fifo(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat st {};
  if (fd < 0 || (::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))) return fd;
  ::close(fd);
  errno = ENXIO;
  return -1;
}

/// write(2), which may wait. A descriptor that somebody else made non-blocking is waited for likewise.
ssize_t put(int fd, std::span<const u8> bytes) {
  const ssize_t n = ::write(fd, bytes.data(), bytes.size());
  if (n >= 0 || errno != EAGAIN) return n;
  pollfd p = {fd, POLLOUT, 0};
  ::poll(&p, 1, -1);
  errno = EAGAIN;
  return -1;
}

}  // namespace

/// Shared by the outlet and its thread, which may outlive it.
struct Outlet::State {
  State(Target t, std::function<void()> room_callback) : target(std::move(t)), tell_room(std::move(room_callback)) {
    if (target.owned) target.fd = target.owned.get();
  }

  Target target;                          // the thread's, once it runs
  const std::function<void()> tell_room;  // called by the thread
  std::atomic<std::size_t> unwritten{0};  ///< changed with the mutex held
  std::mutex mutex;                       // guards what follows
  std::condition_variable work;           ///< for the thread: there is something to write, or it is to end
  std::condition_variable progress;       ///< for others: bytes were written, the output failed, or is given up
  std::vector<u8> queue;
  std::vector<std::size_t> records;  ///< sizes of what is in the queue, of an outlet of records
  bool inside_write = false;
  bool given_up = false, closing = false;
  bool refused = false;  ///< offer() had no room, and tell_room was not called since
  u64 written = 0;
  Loss loss;

  std::size_t room() const { return target.capacity - std::min(target.capacity, unwritten.load()); }
  /// What write() is to wait for.
  std::size_t enough_room(std::size_t bytes) const { return target.records ? std::min(bytes, target.capacity) : 1; }
  /// Who finds none is told when there is, whatever smaller is taken meanwhile.
  bool has_room(std::size_t bytes) {
    if (room() >= bytes) return true;
    refused = true;
    return false;
  }
  bool settled() const { return loss.error != 0 || unwritten == 0; }

  void append(std::span<const u8> bytes) {
    queue.insert(queue.end(), bytes.begin(), bytes.end());
    if (target.records) records.push_back(bytes.size());
    unwritten += bytes.size();
    work.notify_one();
  }

  void fail(int error) {
    loss.error = error;
    queue.clear();
    records.clear();
    unwritten = 0;
  }

  void run();
  void tell_if_there_is_room(std::unique_lock<std::mutex>& lock);
  bool write_out(std::unique_lock<std::mutex>& lock, std::span<const u8> bytes);
  ssize_t write_piece(std::span<const u8> bytes);
};

ssize_t Outlet::State::write_piece(std::span<const u8> bytes) {
  if (!target.fifo.empty()) {
    target.owned = Fd(open_fifo(target.fifo));
    target.fd = target.owned.get();
    if (target.fd < 0) return -1;
    target.fifo.clear();
  }
  return put(target.fd, target.records ? bytes : bytes.first(std::min(bytes.size(), k_piece)));
}

/// False: that is the end of the output.
bool Outlet::State::write_out(std::unique_lock<std::mutex>& lock, std::span<const u8> bytes) {
  while (!bytes.empty() && !closing) {
    inside_write = true;
    lock.unlock();
    const ssize_t n = write_piece(bytes);
    const int error = errno;
    lock.lock();
    inside_write = false;
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      written += static_cast<u64>(n);
      if (!closing) unwritten -= static_cast<std::size_t>(n);
    } else if (error != EINTR && error != EAGAIN) {
      fail(error);
      bytes = {};
    }
    progress.notify_all();
    tell_if_there_is_room(lock);
  }
  return !closing && loss.error == 0;
}

void Outlet::State::tell_if_there_is_room(std::unique_lock<std::mutex>& lock) {
  if (!refused || closing || !tell_room || (!loss.error && room() < target.capacity / 2)) return;
  refused = false;
  lock.unlock();
  tell_room();
  lock.lock();
}

void Outlet::State::run() {
  // A terminal whose user has asked for it (stty tostop) stops what writes to it in the background.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTTOU);
  pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  std::vector<u8> bytes;
  std::vector<std::size_t> sizes;
  std::unique_lock lock(mutex);
  while (true) {
    work.wait(lock, [this] { return closing || !queue.empty(); });
    if (closing) return;
    bytes.clear();
    bytes.swap(queue);
    sizes.assign(1, bytes.size());
    if (target.records) sizes.swap(records);
    records.clear();
    std::span<const u8> rest = bytes;
    for (const std::size_t size : sizes) {
      if (!write_out(lock, rest.first(size))) break;
      rest = rest.subspan(size);
    }
  }
}

Result<std::unique_ptr<Outlet>> Outlet::create(Target target, std::function<void()> room) {
  std::unique_ptr<Outlet> outlet(new Outlet(std::make_shared<State>(std::move(target), std::move(room))));
  const bool opens = !outlet->state_->target.fifo.empty();
  const ThreadKind kind = opens ? ThreadKind::Outlet | ThreadKind::Names : ThreadKind::Outlet;
  AV_TRY_ASSIGN(outlet->thread_, start_quiet_thread(kind, "outlet", [state = outlet->state_] { state->run(); }));
  return outlet;
}

Outlet::~Outlet() { close(); }

int Outlet::write(std::span<const u8> bytes) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  while (!bytes.empty()) {
    s.progress.wait(lock, [&] { return s.loss.error || s.given_up || s.room() >= s.enough_room(bytes.size()); });
    if (s.loss.error) break;
    const bool fits = !s.closing && s.room() >= s.enough_room(bytes.size());
    const std::size_t n = fits ? std::min(bytes.size(), s.room()) : 0;
    if (n == 0) {
      s.loss.bytes += bytes.size();
      break;
    }
    s.append(bytes.first(n));
    bytes = bytes.subspan(n);
  }
  return s.loss.error;
}

bool Outlet::offer(std::span<const u8> bytes) {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  if (s.loss.error || s.closing || !s.has_room(bytes.size())) return false;
  s.append(bytes);
  return true;
}

bool Outlet::has_room(std::size_t bytes) {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  return s.loss.error || s.closing || s.has_room(bytes);
}

bool Outlet::failed() const {
  const std::lock_guard lock(state_->mutex);
  return state_->loss.error != 0;
}

void Outlet::give_up() {
  const std::lock_guard lock(state_->mutex);
  state_->given_up = true;
  state_->progress.notify_all();
}

void Outlet::drain() {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.progress.wait(lock, [&s] { return s.settled() || s.given_up; });
  const auto end = Clock::now() + k_longest_end;
  while (!s.settled() && Clock::now() < end) {
    const u64 before = s.written;
    if (!s.progress.wait_for(lock, k_patience, [&] { return s.settled() || s.written != before; })) return;
  }
}

Outlet::Loss Outlet::close() {
  State& s = *state_;
  if (thread_.joinable()) {
    give_up();
    drain();
    std::unique_lock lock(s.mutex);
    s.closing = true;
    s.loss.bytes += s.unwritten.exchange(0);
    s.work.notify_one();
    const bool left_behind = s.inside_write;
    lock.unlock();
    if (left_behind)
      thread_.detach();
    else
      thread_.join();
  }
  const std::lock_guard lock(s.mutex);
  return s.loss;
}

std::size_t Outlet::pending() const { return state_->unwritten.load(); }

}  // namespace armvisor
