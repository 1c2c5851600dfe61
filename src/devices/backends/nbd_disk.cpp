#include "devices/backends/nbd_disk.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <libnbd.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log_once.h"
#include "devices/backends/io_vectors.h"

namespace armvisor::devices {
namespace {

constexpr u64 k_sector = 512;
constexpr std::size_t k_most_bytes = 1 << 20;      ///< of one request; servers take 32 MiB
constexpr std::size_t k_direct_bytes = 64 * 1024;  ///< a piece of memory so long is not copied
constexpr u64 k_most_range = u64{1} << 30;         ///< of one discard
constexpr int k_connect_ms = 30'000;
/// How long a server of somebody else's may take for an answer when the machine is at its end.
constexpr u64 k_end_patience_ms = 30'000;
/// How long one of ours may take to close its image, when it has nothing to do any more but that.
constexpr unsigned k_server_end_ms = 30'000;

u64 now_ms() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1000 + static_cast<u64>(t.tv_nsec) / 1'000'000;
}

/// libnbd's words for the last error on this thread.
std::string reason() {
  const char* const text = ::nbd_get_error();
  return text ? text : "unknown";
}

int error_number() {
  const int error = ::nbd_get_errno();
  return error ? error : EIO;
}

std::string first_line(const std::string& text) {
  const std::size_t start = std::min(text.find_first_not_of("\n "), text.size());
  return text.substr(start, text.find('\n', start) - start);
}

}  // namespace

bool is_nbd_address(std::string_view name) {
  for (const std::string_view scheme : {"nbd://", "nbd+unix://", "nbds://", "nbds+unix://"})
    if (name.starts_with(scheme)) return true;
  return false;
}

void NbdDisk::Close::operator()(nbd_handle* h) const { ::nbd_close(h); }

NbdDisk::NbdDisk(std::string name, NbdOptions options) : name_(std::move(name)), options_(options) {}

NbdDisk::~NbdDisk() {
  if (unflushed_)
    if (const int error = flush())
      AV_LOG_ONCE(Error, "disk %s: the last writes may be lost: %s", name_.c_str(), std::strerror(error));
  disconnect();
  nbd_ = nullptr;  // a server of ours has no client any more, and ends
  if (!server_) return;
  const int status = server_->end(k_server_end_ms);
  if (status != 0 && ready_)
    AV_LOG_ONCE(Warn, "disk %s: its server %s", name_.c_str(), describe_status(status).c_str());
}

std::optional<int> NbdDisk::server_id() const {
  if (!server_) return std::nullopt;
  return server_->id();
}

// --- beginning and end

Status NbdDisk::prepare() {
  AV_TRY_ASSIGN(ending_, StopEvent::create());
  nbd_.reset(::nbd_create());
  if (!nbd_) return Error{ErrorKind::HostResource, "disk " + name_ + ": libnbd says: " + reason() + "; end programs"};
  // Servers that are not asked for sizes of blocks take requests of any multiple of a sector (NBD's specification,
  // "block size constraints").
  ::nbd_set_request_block_size(nbd_.get(), false);
  buffers_ =
      Mapping(::mmap(nullptr, k_slots * k_slot_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
              k_slots * k_slot_bytes);
  if (buffers_.data() == MAP_FAILED) {
    buffers_ = Mapping();
    return host_error("disk " + name_ + ": expected memory for its requests", errno, "end other programs");
  }
  return {};
}

Result<std::unique_ptr<NbdDisk>> NbdDisk::connect(const std::string& address, NbdOptions options,
                                                  const StopEvent* stop) {
  std::unique_ptr<NbdDisk> disk(new NbdDisk(address, options));
  AV_TRY(disk->prepare());
  if (::nbd_aio_connect_uri(disk->nbd_.get(), address.c_str()) != 0) return disk->no_answer(reason());
  AV_TRY(disk->finish_connect(stop, k_connect_ms));
  const int on = 1;  // a host that went away without a word is noticed; no other socket than TCP's minds
  ::setsockopt(::nbd_aio_get_fd(disk->nbd_.get()), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return disk;
}

Result<std::unique_ptr<NbdDisk>> NbdDisk::serve(ChildProcess server, Fd socket, std::string name, NbdOptions options,
                                                const StopEvent* stop) {
  std::unique_ptr<NbdDisk> disk(new NbdDisk(std::move(name), options));
  disk->server_.emplace(std::move(server));
  AV_TRY(disk->prepare());
  const int fd = ::dup(socket.get());  // libnbd's own
  if (fd < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || ::nbd_aio_connect_socket(disk->nbd_.get(), fd) != 0)
    return disk->no_answer(reason());
  socket.reset();
  AV_TRY(disk->finish_connect(stop, -1));
  return disk;
}

Status NbdDisk::finish_connect(const StopEvent* stop, int patience_ms) {
  const u64 until = now_ms() + static_cast<u64>(std::max(patience_ms, 0));
  while (::nbd_aio_is_connecting(nbd_.get()) || ::nbd_aio_is_negotiating(nbd_.get())) {
    const u64 now = now_ms();
    if (patience_ms >= 0 && now >= until) return no_answer("nobody who answers");
    const int error = wait_events(patience_ms < 0 ? -1 : static_cast<int>(until - now), stop);
    if (error == ECANCELED) return no_answer("that the machine was ended meanwhile");
    if (error) break;
  }
  if (!::nbd_aio_is_ready(nbd_.get())) return no_answer(reason());
  return look_at_export();
}

/// What cannot be opened is mostly the server's matter, which it said on its standard error.
Error NbdDisk::no_answer(const std::string& found) {
  if (!server_)
    return {ErrorKind::HostResource, "disk " + name_ + ": expected an NBD server with this export, found: " + found +
                                         "; check the address, and that the server runs"};
  server_->end(1000);  // its words are complete then
  const std::string said = first_line(server_->take_messages());
  const bool locked = said.find("Failed to get") != std::string::npos && said.find("lock") != std::string::npos;
  if (locked)
    return {ErrorKind::HostResource, "disk " + name_ + " is in use by another machine (" + said +
                                         "); stop that machine, or open the disk read-only in both"};
  return {ErrorKind::BadInput, "disk " + name_ + ": expected an image that its server can open, found: " +
                                   (said.empty() ? found : said) + "; check the file, or name its format with format="};
}

Status NbdDisk::look_at_export() {
  const s64 size = ::nbd_get_size(nbd_.get());
  if (size < static_cast<s64>(k_sector))
    return Error{ErrorKind::BadInput, fmt::format("disk {}: expected at least 512 bytes, found {}; give it a size",
                                                  name_, size < 0 ? reason() : std::to_string(size))};
  size_ = static_cast<u64>(size) / k_sector * k_sector;
  if (size_ != static_cast<u64>(size))
    AV_LOG_ONCE(Warn, "disk %s has %lld bytes, not a multiple of 512: the guest does not see the last ones",
                name_.c_str(), static_cast<long long>(size));
  if (!options_.read_only && ::nbd_is_read_only(nbd_.get()) == 1)
    return Error{ErrorKind::BadInput, "disk " + name_ +
                                          ": expected to write to it, found that its server only lets it " +
                                          "be read; try it read-only (ro)"};
  can_flush_ = ::nbd_can_flush(nbd_.get()) == 1;
  can_trim_ = ::nbd_can_trim(nbd_.get()) == 1;
  can_zero_ = ::nbd_can_zero(nbd_.get()) == 1;
  ready_ = true;
  return {};
}

void NbdDisk::disconnect() {
  if (!nbd_ || !::nbd_aio_is_ready(nbd_.get()) || ::nbd_aio_disconnect(nbd_.get(), 0) != 0) return;
  const u64 until = now_ms() + 1000;  // the request only has to be sent
  while (!::nbd_aio_is_closed(nbd_.get()) && !::nbd_aio_is_dead(nbd_.get()) && now_ms() < until)
    if (wait_events(100, nullptr)) break;
}

// --- waiting

/// Lets libnbd do what its socket is ready for. 0, an errno when the connection is lost, ECANCELED when the machine's
/// end, or `other`, came first.
int NbdDisk::wait_events(int timeout_ms, const StopEvent* other) {
  const unsigned direction = ::nbd_aio_get_direction(nbd_.get());
  std::array<pollfd, 2> fds = {pollfd{::nbd_aio_get_fd(nbd_.get()), 0, 0}, pollfd{other ? other->fd() : -1, POLLIN, 0}};
  if (direction & LIBNBD_AIO_DIRECTION_READ) fds[0].events |= POLLIN;
  if (direction & LIBNBD_AIO_DIRECTION_WRITE) fds[0].events |= POLLOUT;
  if (::poll(fds.data(), fds.size(), timeout_ms) < 0) return errno == EINTR ? 0 : errno;
  if (fds[1].revents) return ECANCELED;
  // One call for one readiness: the first may change what the handle waits for.
  int failed = 0;
  if (fds[0].revents & (POLLIN | POLLHUP))
    failed = ::nbd_aio_notify_read(nbd_.get());
  else if (fds[0].revents & POLLOUT)
    failed = ::nbd_aio_notify_write(nbd_.get());
  else if (fds[0].revents & (POLLERR | POLLNVAL))
    return ENOTCONN;
  return failed ? error_number() : 0;
}

/// Waits for the answer to a request. Without end while the machine runs, and for servers of ours, as for a disk of the
/// host; other servers have a limited time once the machine is to end.
int NbdDisk::step() {
  if (server_) return wait_events(-1, nullptr);
  if (!ending_->is_set()) {
    const int error = wait_events(-1, ending_.get());
    if (error != ECANCELED) return error;
  }
  const u64 now = now_ms();
  if (!patience_ends_ms_) patience_ends_ms_ = now + k_end_patience_ms;
  if (now >= *patience_ends_ms_) return ETIMEDOUT;
  return wait_events(static_cast<int>(*patience_ends_ms_ - now), nullptr);
}

std::string NbdDisk::server_says() {
  if (!server_) return "";
  const auto status = server_->ended();
  const std::string said = first_line(server_->take_messages());
  return (status ? ": its server " + describe_status(*status) : "") + (said.empty() ? "" : ": " + said);
}

/// Ends the connection; requests under way, and their buffers, are let go of.
void NbdDisk::lose(const std::string& why) {
  if (!nbd_) return;
  nbd_ = nullptr;
  ready_ = false;
  if (server_) server_->end(100);  // it has mostly ended: how, is to be said
  AV_LOG_ONCE(Error, "disk %s: lost (%s)%s; each request of the guest is an I/O error from now on", name_.c_str(),
              why.c_str(), server_says().c_str());
}

/// Waits for one request; 0 or an errno.
int NbdDisk::complete(s64 cookie, const char* what) {
  if (cookie < 0) {
    const int error = error_number();
    if (!::nbd_aio_is_ready(nbd_.get()) && !::nbd_aio_is_processing(nbd_.get())) lose(what);
    return error;
  }
  for (;;) {
    const int done = ::nbd_aio_command_completed(nbd_.get(), static_cast<u64>(cookie));
    if (done > 0) return 0;
    if (done < 0) {
      const int error = error_number();
      if (::nbd_aio_is_dead(nbd_.get()) || ::nbd_aio_is_closed(nbd_.get())) lose(what);
      return error;
    }
    if (const int error = step()) {
      lose(error == ETIMEDOUT ? "its server does not answer" : reason());
      return EIO;
    }
  }
}

// --- requests

/// Asks for the next piece of `t`, from byte `at` on; false when it cannot be asked for, and t.error is set.
bool NbdDisk::issue(Slot& slot, DiskTransfer& t, u64& at) {
  slot.parts.clear();
  // Neighbours in guest RAM are mostly neighbours here.
  u8* const first = static_cast<u8*>(t.data.front().iov_base);
  std::size_t together = 0, left = total_bytes(t.data);
  for (const iovec& part : t.data) {
    if (static_cast<u8*>(part.iov_base) != first + together) break;
    together += part.iov_len;
  }
  const bool direct = together == left || together >= k_direct_bytes;
  slot.bytes = std::min(direct ? std::min(together, k_most_bytes) : std::min(left, k_slot_bytes), left);
  u8* const memory = direct ? first : buffer(slot);
  if (!direct) {
    copy_first(t.data, slot.bytes, slot.parts);
    if (t.write) {
      gather(slot.parts, slot.bytes, memory);
      slot.parts.clear();
    }
  }
  const s64 cookie = t.write ? ::nbd_aio_pwrite(nbd_.get(), memory, slot.bytes, t.offset + at, NBD_NULL_COMPLETION, 0)
                             : ::nbd_aio_pread(nbd_.get(), memory, slot.bytes, t.offset + at, NBD_NULL_COMPLETION, 0);
  if (cookie < 0) {
    t.error = error_number();
    return false;
  }
  slot.busy = true;
  slot.cookie = static_cast<u64>(cookie);
  slot.transfer = &t;
  advance(t.data, slot.bytes);
  at += slot.bytes;
  return true;
}

/// Takes what was answered; false when nothing is under way.
bool NbdDisk::collect() {
  bool any = false;
  for (Slot& slot : slots_) {
    if (!slot.busy) continue;
    const int done = nbd_ ? ::nbd_aio_command_completed(nbd_.get(), slot.cookie) : -1;
    if (done == 0) {
      any = true;
      continue;
    }
    slot.busy = false;
    if (done < 0)
      slot.transfer->error = nbd_ ? error_number() : EIO;
    else
      scatter(buffer(slot), total_bytes(slot.parts), slot.parts);
  }
  return any;
}

void NbdDisk::transfer(std::span<DiskTransfer> all) {
  std::size_t next = 0;
  u64 at = 0;
  bool any = true;
  for (DiskTransfer& t : all) {
    t.error = nbd_ ? 0 : EIO;
    if (t.write) unflushed_ = true;
  }
  while (nbd_ && any) {
    for (Slot& slot : slots_) {
      while (next < all.size() && (all[next].error || total_bytes(all[next].data) == 0)) {
        ++next;
        at = 0;
      }
      if (next == all.size()) break;
      if (!slot.busy) issue(slot, all[next], at);
    }
    any = collect();
    if (any) {
      if (const int error = step()) lose(error == ETIMEDOUT ? "its server does not answer" : reason());
    } else {
      any = next < all.size();
    }
  }
  if (!nbd_) {
    collect();
    for (; next < all.size(); ++next)
      if (total_bytes(all[next].data)) all[next].error = EIO;
  } else if (::nbd_aio_is_dead(nbd_.get()) || ::nbd_aio_is_closed(nbd_.get())) {
    lose("the connection ended");
  }
}

int NbdDisk::read(std::span<iovec> to, u64 offset) {
  DiskTransfer t{.write = false, .data = to, .offset = offset};
  transfer(std::span(&t, 1));
  return t.error;
}

int NbdDisk::write(std::span<iovec> from, u64 offset) {
  DiskTransfer t{.write = true, .data = from, .offset = offset};
  transfer(std::span(&t, 1));
  return t.error;
}

int NbdDisk::flush() {
  if (!nbd_) return EIO;
  if (!unflushed_ || options_.ignore_flush || !can_flush_) return 0;
  const int error = complete(::nbd_aio_flush(nbd_.get(), NBD_NULL_COMPLETION, 0), "flush");
  if (!error) unflushed_ = false;
  return error;
}

int NbdDisk::discard(u64 offset, u64 size) {
  if (!nbd_) return EIO;
  if (!can_trim_) return 0;  // discarding is advice
  unflushed_ = true;
  for (u64 n; size > 0; offset += n, size -= n) {
    n = std::min(size, k_most_range);
    if (const int error = complete(::nbd_aio_trim(nbd_.get(), n, offset, NBD_NULL_COMPLETION, 0), "discard"))
      return error;
  }
  return 0;
}

int NbdDisk::write_zeroes(u64 offset, u64 size, bool unmap) {
  static u8 zeros[65536];
  unflushed_ = true;
  const u32 flags = unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
  for (u64 n; size > 0; offset += n, size -= n) {
    if (!nbd_) return EIO;
    n = std::min(size, can_zero_ ? k_most_range : sizeof zeros);
    iovec v = {zeros, n};
    const int error = can_zero_
                          ? complete(::nbd_aio_zero(nbd_.get(), n, offset, NBD_NULL_COMPLETION, flags), "write zeroes")
                          : write(std::span(&v, 1), offset);
    if (error) return error;
  }
  return 0;
}

}  // namespace armvisor::devices
