#include "exec/session.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/thread.h"
#include "devices/backends/terminal.h"

namespace armvisor::exec {
namespace {
/// Milliseconds until it is looked at again whether the process came to the foreground of its terminal.
constexpr int k_look_again = 200;
constexpr std::chrono::seconds k_insisting{10};   ///< between two signals, of which the second ends the guest
constexpr u32 k_least_credit = AV_WINDOW / 4;     ///< less is given later
constexpr std::size_t k_most_waiting = 64 << 10;  ///< bytes for the agent, beyond which no input is read
constexpr av_stream k_outputs[] = {AV_STDOUT, AV_STDERR};
}  // namespace

/// The machine's end of the channel. Its lock order is the port's, so what goes to the agent is sent by the session's
/// thread.
class Session::Line final : public devices::Chardev {
 public:
  explicit Line(Session& session) : session_(session) {}
  ~Line() override {
    const std::lock_guard lock(session_.mutex_);
    session_.line_ = nullptr;
  }
  std::string filename() const override { return "agent"; }
  void stop() override { session_.stop(); }
  void room() override { session_.wake_.wake(); }
  void continued() override { session_.enter_terminal(); }
  void send(std::vector<u8>& waiting) { hand_over(waiting); }

 private:
  bool do_offer(std::span<const u8> bytes) override {
    session_.receive(bytes);
    return true;
  }
  void do_write(std::span<const u8> bytes) override { session_.receive(bytes); }
  Session& session_;
};

Session::Session(CommandRequest request, Streams streams, WakeEvent wake)
    : request_(std::move(request)),
      streams_(streams),
      input_is_terminal_(isatty(streams.input)),
      wake_(std::move(wake)) {}

Result<std::unique_ptr<Session>> Session::create(CommandRequest request, Streams streams) {
  AV_TRY_ASSIGN(WakeEvent wake, WakeEvent::create("exec"));
  std::unique_ptr<Session> session(new Session(std::move(request), streams, std::move(wake)));
  for (const av_stream stream : k_outputs) {
    const int fd = stream == AV_STDOUT ? streams.output : streams.error;
    AV_TRY_ASSIGN(session->outputs_[stream].outlet,
                  Outlet::create({.owned = {}, .fd = fd, .fifo = {}, .capacity = AV_WINDOW},
                                 [s = session.get()] { s->wake_.wake(); }));
  }
  return session;
}

Result<std::unique_ptr<Session>> Session::connect(CommandRequest request, Streams streams, Fd agent) {
  AV_TRY_ASSIGN(auto session, create(std::move(request), streams));
  session->agent_ = std::move(agent);
  return session;
}

Session::~Session() { stop(); }

std::unique_ptr<devices::Chardev> Session::line() {
  auto line = std::make_unique<Line>(*this);
  const std::lock_guard lock(mutex_);
  line_ = line.get();
  return line;
}

Status Session::start(std::function<void()> done) {
  done_ = std::move(done);
  enter_terminal();
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Session, "exec", [this] { run(); }));
  return {};
}

void Session::stop() {
  stopping_ = true;
  wake_.wake();
  if (thread_.joinable()) thread_.join();
  if (raw_) devices::restore_terminal();
}

// --- what the agent says, on a vCPU's thread

void Session::receive(std::span<const u8> bytes) {
  {
    const std::lock_guard lock(mutex_);
    channel_.receive(bytes);
    const Channel::State state = channel_.state();
    if (state == Channel::State::Running && !started_) started_ = std::chrono::steady_clock::now();
    if (state == Channel::State::Exited && !ended_) ended_ = std::chrono::steady_clock::now();
    if (state == Channel::State::Exited && !started_) started_ = ended_;
  }
  wake_.wake();
}

/// There is room for all that there was credit for, unless the reader is gone.
void Session::output(av_stream stream, std::span<const u8> bytes) {
  if (!outputs_[stream].outlet->offer(bytes)) lost_ = true;
}

// --- the session's thread

void Session::run() {
  while (!stopping_) {
    bool wanted = false, tell = false;
    Line* line = nullptr;
    {
      const std::lock_guard lock(mutex_);
      prepare();
      line = line_;
      std::vector<u8>& out = channel_.outgoing();
      sending_.insert(sending_.end(), out.begin(), out.end());
      out.clear();
      wanted = wants_input();
      const auto state = channel_.state();
      const bool over =
          state == Channel::State::Exited || state == Channel::State::Failed || state == Channel::State::Broken;
      tell = over && !std::exchange(told_, true);
    }
    if (tell) done_();
    if (line && !sending_.empty()) line->send(sending_);
    if (agent_) converse();
    if (wait_for_input(wanted)) read_input();
  }
}

/// With mutex_.
void Session::prepare() {
  if (channel_.state() == Channel::State::Ready && !std::exchange(requested_, true)) {
    CommandRequest request = request_;
    if (request.terminal) request.size = terminal_size();
    channel_.run(request);
  }
  if (channel_.state() != Channel::State::Running) return;
  if (request_.terminal && !terminal_is_guests_.exchange(true)) {
    enter_terminal();                  // its keys are the command's from now on
    channel_.resize(terminal_size());  // it may be another since the request
  }
  renew_credit();
}

/// With mutex_. What was written makes room for more.
void Session::renew_credit() {
  for (const av_stream stream : k_outputs) {
    Output& o = outputs_[stream];
    if (channel_.has_ended(stream)) continue;
    if (o.outlet->failed() && !std::exchange(o.closed, true)) channel_.close_output(stream);
    if (o.closed) continue;
    const auto room = [&] {
      const std::size_t taken = std::min<std::size_t>(o.outlet->pending() + channel_.credit(stream), AV_WINDOW);
      return AV_WINDOW - static_cast<u32>(taken);
    };
    u32 more = room();
    // has_room() has this thread woken when all is written, unless it is by now.
    if (more < k_least_credit && channel_.credit(stream) < k_least_credit && o.outlet->has_room(AV_WINDOW))
      more = room();
    if (more >= k_least_credit) channel_.give_credit(stream, more);
  }
}

/// With mutex_.
bool Session::wants_input() {
  return channel_.state() == Channel::State::Running && !input_ended_ && channel_.credit(AV_STDIN) > 0 &&
         sending_.size() < k_most_waiting;
}

/// What goes and comes by a socket, as far as it does so now.
void Session::converse() {
  std::array<u8, 65536> buffer;
  if (!sending_.empty()) {
    const ssize_t n = ::send(agent_.get(), sending_.data(), sending_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) sending_.erase(sending_.begin(), sending_.begin() + n);
  }
  const ssize_t n = ::recv(agent_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n > 0) return receive(std::span(buffer).first(static_cast<std::size_t>(n)));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  agent_.reset();
  {
    const std::lock_guard lock(mutex_);
    channel_.end("the machine, or its agent, has ended");
  }
  wake_.wake();
}

/// True when there is input to be read.
bool Session::wait_for_input(bool wanted) {
  int timeout = -1;
  if (wanted && !may_read()) {
    wanted = false;
    timeout = k_look_again;
  }
  const short on_agent = sending_.empty() ? POLLIN : POLLIN | POLLOUT;
  std::array<pollfd, 3> fds = {
      {{wanted ? streams_.input : -1, POLLIN, 0}, {wake_.fd(), POLLIN, 0}, {agent_.get(), on_agent, 0}}};
  if (poll(fds.data(), fds.size(), timeout) < 0) return false;
  if (fds[1].revents) wake_.take();
  return fds[0].revents && !stopping_;
}

/// In the background of its terminal a process must not read it; back in the foreground, the terminal is made raw.
bool Session::may_read() {
  if (!input_is_terminal_) return true;
  const bool was = std::exchange(background_, devices::in_background(streams_.input));
  if (was && !background_) enter_terminal();
  return !background_;
}

void Session::read_input() {
  std::array<u8, 16384> buffer;
  std::size_t most = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!wants_input()) return;
    most = std::min<std::size_t>(buffer.size(), channel_.credit(AV_STDIN));
  }
  const ssize_t n = ::read(streams_.input, buffer.data(), most);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n < 0 && errno == EIO && input_is_terminal_ && devices::in_background(streams_.input)) return;
  const int error = n < 0 ? errno : 0;
  const std::lock_guard lock(mutex_);
  if (n > 0) return channel_.send_input(std::span(buffer).first(static_cast<std::size_t>(n)));
  // A descriptor that is not open and a terminal that is gone have nothing more to be read.
  if (error != EBADF && !(error == EIO && input_is_terminal_)) input_error_ = error;
  input_ended_ = true;
  channel_.end_input();
}

// --- the terminal, signals and the end

void Session::enter_terminal() {
  if (!request_.terminal || !input_is_terminal_) return;
  raw_ = true;
  devices::make_terminal_raw(streams_.input, !terminal_is_guests_);
}

av_size Session::terminal_size() const {
  winsize w{};
  for (const int fd : {streams_.output, streams_.input, streams_.error})
    if (ioctl(fd, TIOCGWINSZ, &w) == 0) return {w.ws_row, w.ws_col};
  return {24, 80};
}

bool Session::signalled(int signal) {
  if (signal == SIGTSTP || signal == SIGCONT) return false;
  const std::lock_guard lock(mutex_);
  const bool running = channel_.state() == Channel::State::Running;
  if (signal == SIGWINCH) {
    if (running && request_.terminal) channel_.resize(terminal_size());
    wake_.wake();
    return true;
  }
  const bool asks_to_end = signal != SIGUSR1 && signal != SIGUSR2;
  // Who wants the guest to end says so twice, one soon after the other.
  const bool insists = signal == SIGINT || signal == SIGTERM;
  const auto now = std::chrono::steady_clock::now();
  const bool unanswered = insists && signal_unanswered_ && now - *signal_unanswered_ < k_insisting &&
                          channel_.frames() == frames_at_signal_;
  if (!asks_to_end && channel_.state() == Channel::State::Exited) return true;  // there is nobody to tell
  if (!running || (asks_to_end && unanswered)) {
    if (channel_.state() != Channel::State::Exited) last_signal_ = signal;
    return false;
  }
  if (insists) {
    signal_unanswered_ = now;
    frames_at_signal_ = channel_.frames();
  }
  channel_.send_signal(static_cast<u32>(signal));
  wake_.wake();
  return true;
}

bool Session::is_decided() {
  const std::lock_guard lock(mutex_);
  return channel_.state() != Channel::State::Booting && channel_.state() != Channel::State::Ready;
}

void Session::give_up() {
  for (const av_stream stream : k_outputs) outputs_[stream].outlet->give_up();
}

bool Session::deliver() {
  bool whole = !lost_;
  for (const av_stream stream : k_outputs) {
    outputs_[stream].outlet->drain();
    const Outlet::Loss loss = outputs_[stream].outlet->close();
    whole = whole && !loss.error && !loss.bytes;
    // Some file systems say only then that they are full.
    const int copy = ::dup(stream == AV_STDOUT ? streams_.output : streams_.error);
    whole = whole && (copy < 0 || ::close(copy) == 0);
  }
  return whole;
}

}  // namespace armvisor::exec
