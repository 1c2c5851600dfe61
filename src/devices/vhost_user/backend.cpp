#include "devices/vhost_user/backend.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/host_error.h"
#include "base/log.h"
#include "devices/vhost_user/virtiofsd.h"

namespace armvisor::devices::vhost_user {
namespace {

using virtio::k_feature_version_1;

// What is asked of a disk's configuration: struct virtio_blk_config up to write_zeroes_may_unmap and what fills it up.
constexpr u32 k_disk_config_bytes = 60;
// Of virtio-blk's features (5.2.3) those that need nothing of the front end: SIZE_MAX, SEG_MAX, GEOMETRY, RO, BLK_SIZE,
// FLUSH, TOPOLOGY, DISCARD, WRITE_ZEROES.
constexpr u64 k_disk_features =
    1u << 1 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 9 | 1u << 10 | 1u << 13 | 1u << 14;

u64 known_features(Kind kind) { return kind == Kind::Disk ? k_disk_features : 0; }

/// Asked before the descriptor is used, since the program can change that it does not block.
bool ready(int fd, short events) {
  pollfd p = {fd, events, 0};
  return ::poll(&p, 1, 0) == 1 && (p.revents & events);
}

Result<Fd> event_fd() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return host_error("vhost-user: expected an eventfd", errno, "end other programs");
  return fd;
}

/// The last line is why it ended.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::size_t end = text.rfind('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

}  // namespace

// --- rings

Result<Rings> Rings::create(u32 count) {
  const auto failed = [](const char* what) {
    return host_error(std::string("vhost-user: expected ") + what, errno, "end other programs");
  };
  Rings rings;
  const std::size_t bytes = std::size_t{count} * ShadowRing::k_bytes;
  rings.memory_ = Fd(::memfd_create("armvisor-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!rings.memory_) return failed("memory for rings");
  if (::ftruncate(rings.memory_.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(rings.memory_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return failed("memory for rings");
  void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rings.memory_.get(), 0);
  if (p == MAP_FAILED) return failed("to map memory for rings");
  rings.map_ = Mapping(p, bytes);
  AV_TRY_ASSIGN(rings.call_, event_fd());
  for (u32 n = 0; n < count; ++n) {
    const std::size_t at = std::size_t{n} * ShadowRing::k_bytes;
    rings.rings_.emplace_back(rings.map_.data() + at, k_rings_address + at);
    AV_TRY_ASSIGN(Fd kick, event_fd());
    rings.kicks_.push_back(std::move(kick));
  }
  return rings;
}

void Rings::kick(u32 ring) const {
  const u64 one = 1;
  if (ready(kicks_[ring].get(), POLLOUT)) [[maybe_unused]]
    const ssize_t n = ::write(kicks_[ring].get(), &one, sizeof one);
}

void Rings::take_call() const {
  u64 count = 0;
  const iovec all = {&count, sizeof count};
  [[maybe_unused]] const ssize_t n = ::preadv2(call_.get(), &all, 1, -1, RWF_NOWAIT);
}

// --- connecting

Backend::Backend(Options options, Fd socket, std::optional<ChildProcess> process, std::unique_ptr<StopEvent> ending)
    : options_(std::move(options)),
      connection_(std::move(socket), options_.patience_ms),
      process_(std::move(process)),
      ending_(std::move(ending)) {}

/// A program that was started here ends when the connection does, or is made to.
Backend::~Backend() {
  connection_ = Connection(Fd(), 0);
  if (process_) process_->end(broken_ ? 0 : 1000);
}

Error Backend::no_backend(const std::string& found, std::string_view advice) {
  std::string said;
  if (process_) {
    process_->end(1000);  // its words are complete then
    said = last_line(process_->take_messages());
  }
  return {ErrorKind::HostResource,
          fmt::format("expected {} to serve {} (vhost-user), found: {}; {}", options_.text(),
                      options_.kind == Kind::Disk ? "a disk" : "a file system", said.empty() ? found : said, advice)};
}

Result<std::shared_ptr<Backend>> Backend::serve(const Options& options, Fd socket, std::optional<ChildProcess> process,
                                                std::string_view advice, const StopEvent* stop) {
  AV_TRY_ASSIGN(auto ending, StopEvent::create());
  std::shared_ptr<Backend> backend(new Backend(options, std::move(socket), std::move(process), std::move(ending)));
  backend->connection_.set_stop(stop);
  if (const Status done = backend->negotiate(); !done) return backend->no_backend(done.error().message, advice);
  backend->connection_.set_stop(backend->ending_.get());
  return backend;
}

Result<std::shared_ptr<Backend>> Backend::start_program(const Options& options, const StopEvent* stop) {
  struct stat st = {};
  if (::stat(options.folder.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
    return file_error("expected a folder to share, found '" + options.folder + "'",
                      S_ISDIR(st.st_mode) ? errno : ENOTDIR, "check the path");
  AV_TRY_ASSIGN(const Virtiofsd program, find_virtiofsd());
  AV_TRY_ASSIGN(const auto launches, virtiofsd_launches(program, options, Starter::ours()));
  std::optional<Error> first;
  for (const Launch& launch : launches) {
    AV_TRY_ASSIGN(Served served, start_virtiofsd(launch));
    auto backend = serve(options, std::move(served.socket), std::move(served.process), launch.advice, stop);
    if (backend || (stop && stop->is_set())) return backend;
    if (!first) first = backend.error();
  }
  return *first;
}

Result<std::shared_ptr<Backend>> Backend::create(Options options, const StopEvent* stop) {
  if (options.socket.empty()) return start_program(options, stop);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.socket.size() >= sizeof address.sun_path)
    return Error{ErrorKind::BadArguments,
                 "expected the path of a Unix socket, found '" + options.socket + "', which is too long; change it"};
  options.socket.copy(address.sun_path, sizeof address.sun_path - 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return file_error("expected a program that listens at " + options.socket, errno, "start it first");
  return serve(options, std::move(socket), std::nullopt, "check what it serves, and that nobody else uses it", stop);
}

/// Once: what it offers, and what of it is the device's.
Status Backend::negotiate() {
  connection_.begin();
  AV_TRY(connection_.send(Request::SetOwner, {}));
  AV_TRY_ASSIGN(offered_, connection_.ask_number(Request::GetFeatures));
  if (!(offered_ & k_feature_version_1))
    return Error{ErrorKind::HostResource, "a program that does not speak virtio 1"};
  features_ = offered_ & known_features(options_.kind);
  if (offered_ & k_feature_protocol) AV_TRY(negotiate_protocol());
  if (options_.kind != Kind::Disk) return {};
  if (!(protocol_ & k_protocol_config)) return Error{ErrorKind::HostResource, "a program that is none for a disk"};
  Payload payload;
  payload.add32(0).add32(k_disk_config_bytes).add32(0);
  std::vector<u8> question(payload.bytes().begin(), payload.bytes().end());
  question.resize(question.size() + k_disk_config_bytes);
  AV_TRY_ASSIGN(const std::vector<u8> reply, connection_.ask(Request::GetConfig, question));
  const auto config = config_of(reply, k_disk_config_bytes);
  if (!config) return Error{ErrorKind::HostResource, "a program that is none for a disk"};
  config_ = *config;
  return {};
}

Status Backend::negotiate_protocol() {
  AV_TRY_ASSIGN(protocol_, connection_.ask_number(Request::GetProtocolFeatures));
  protocol_ &= k_protocol_mq | k_protocol_reply_ack | (options_.kind == Kind::Disk ? k_protocol_config : 0);
  return connection_.send(Request::SetProtocolFeatures, Payload().add64(protocol_).bytes());
}

// --- serving

/// Where it is possible the program says whether it could.
Status Backend::tell(Request request, std::span<const u8> payload, std::span<const int> fds) {
  if (protocol_ & k_protocol_reply_ack) return connection_.demand(request, payload, fds);
  return connection_.send(request, payload, fds);
}

Status Backend::set_up_ring(const Rings& rings, u32 ring) {
  const ShadowRing& r = rings.at(ring);
  AV_TRY(tell(Request::SetVringNum, Payload().add32(ring).add32(ShadowRing::k_size).bytes()));
  AV_TRY(tell(Request::SetVringBase, Payload().add32(ring).add32(0).bytes()));
  AV_TRY(tell(
      Request::SetVringAddr,
      Payload().add32(ring).add32(0).add64(r.descriptors()).add64(r.used()).add64(r.available()).add64(0).bytes()));
  const std::array<int, 1> call = {rings.call_fd()}, kick = {rings.kick_fd(ring)};
  AV_TRY(tell(Request::SetVringCall, Payload().add64(ring).bytes(), call));
  AV_TRY(tell(Request::SetVringKick, Payload().add64(ring).bytes(), kick));
  if (offered_ & k_feature_protocol) AV_TRY(tell(Request::SetVringEnable, Payload().add32(ring).add32(1).bytes()));
  return {};
}

/// Addresses are the guest's, and those behind them for rings: the program needs to know of no others.
Status Backend::set_up(const GuestRam& ram, const Rings& rings, u64 features) {
  AV_TRY(tell(Request::SetFeatures,
              Payload().add64(features | k_feature_version_1 | (offered_ & k_feature_protocol)).bytes()));
  const u64 base = ram.base().value;
  const std::array<int, 2> fds = {ram.memfd(), rings.memory()};
  Payload table;
  table.add32(static_cast<u32>(fds.size())).add32(0);
  table.add64(base).add64(ram.size()).add64(base).add64(0);
  table.add64(k_rings_address).add64(rings.bytes()).add64(k_rings_address).add64(0);
  AV_TRY(tell(Request::SetMemTable, table.bytes(), fds));
  for (u32 ring = 0; ring < rings.count(); ++ring) AV_TRY(set_up_ring(rings, ring));
  // All of it is done when this is answered, also by a program that does not say so itself.
  AV_TRY_ASSIGN(const u64 features_now, connection_.ask_number(Request::GetFeatures));
  (void)features_now;
  return {};
}

bool Backend::start(const GuestRam& ram, const Rings& rings, u64 features) {
  if (broken_) return false;
  connection_.begin();
  if (const Status done = set_up(ram, rings, features); !done) fail(done.error().message);
  return !broken_;
}

void Backend::stop(const Rings& rings) {
  if (ending_->is_set()) return fail("the machine's end");  // which waits for nobody
  connection_.begin();
  for (u32 ring = 0; ring < rings.count() && !broken_; ++ring) {
    const auto reply = connection_.ask(Request::GetVringBase, Payload().add32(ring).add32(0).bytes());
    if (!reply)
      fail(reply.error().message);
    else if (!base_of(*reply, ring))
      fail("a wrong reply to the end of a ring");
  }
}

void Backend::fail(const std::string& found) {
  if (broken_.exchange(true)) return;
  connection_ = Connection(Fd(), 0);
  std::string said;
  if (process_) {
    const int status = process_->end(100);
    said = "; it " + describe_status(status);
    if (const std::string words = last_line(process_->take_messages()); !words.empty()) said += " and said: " + words;
  }
  if (!ending_->is_set())
    AV_LOG(Warn, "%s does not serve the machine any more (%s%s): what is asked of it fails from now on",
           options_.text().c_str(), found.c_str(), said.c_str());
}

}  // namespace armvisor::devices::vhost_user
