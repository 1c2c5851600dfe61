#include "exec/channel.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <optional>

namespace armvisor::exec {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are read and written in place");
constexpr std::size_t k_longest_text = 2048;

template <class T>
std::optional<T> value_of(std::span<const u8> bytes) {
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

void add_word(std::vector<u8>& to, std::string_view word) {
  to.insert(to.end(), word.begin(), word.end());
  to.push_back(0);
}

}  // namespace

// --- what comes

void Channel::receive(std::span<const u8> bytes) {
  while (state_ != State::Broken && !bytes.empty()) {
    // Not more than the frame at hand is ever held: first what says how long it is.
    av_frame head{};
    const auto wanted = [&] {
      if (partial_.size() < sizeof head) return sizeof head;
      std::memcpy(&head, partial_.data(), sizeof head);
      return sizeof head + head.length;
    };
    const std::size_t n = std::min(wanted() - partial_.size(), bytes.size());
    partial_.insert(partial_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    bytes = bytes.subspan(n);
    const std::size_t whole = wanted();
    if (partial_.size() < sizeof head) return;
    if (head.length > AV_FRAME_MOST) return break_off(fmt::format("a frame of {} bytes", head.length));
    if (partial_.size() < whole) continue;
    ++frames_;
    take(head, std::span(partial_).subspan(sizeof head));
    partial_.clear();
  }
}

void Channel::take(const av_frame& head, std::span<const u8> bytes) {
  const bool running = state_ == State::Running;
  switch (head.type) {
    case AV_HELLO:
      if (state_ == State::Booting) return take_hello(bytes);
      break;
    case AV_STARTED:
      if (state_ != State::Ready) break;
      state_ = State::Running;
      return;
    case AV_FAILED:
      if (state_ == State::Booting || state_ == State::Ready) return take_failed(bytes);
      break;
    case AV_DATA:
      if (running && is_output(head.stream)) return take_data(static_cast<av_stream>(head.stream), bytes);
      break;
    case AV_END:
      if (running && is_output(head.stream)) return take_end(static_cast<av_stream>(head.stream), bytes);
      break;
    case AV_CREDIT:
      if (running && head.stream == AV_STDIN) return take_credit(bytes);
      break;
    case AV_EXITED:
      if (running) return take_exited(bytes);
      break;
    default: break;
  }
  break_off(fmt::format("a frame of kind {} out of turn", head.type));
}

void Channel::take_hello(std::span<const u8> bytes) {
  const auto hello = value_of<av_hello>(bytes);
  if (!hello || hello->version != AV_PROTOCOL) return break_off("another version of the protocol");
  state_ = State::Ready;
}

void Channel::take_failed(std::span<const u8> bytes) {
  av_failed failed{};
  if (bytes.size() < sizeof failed) return break_off("a failure without its cause");
  std::memcpy(&failed, bytes.data(), sizeof failed);
  const auto text = bytes.subspan(sizeof failed).first(std::min(bytes.size() - sizeof failed, k_longest_text));
  failure_ = {failed.step, failed.error, std::string(text.begin(), text.end())};
  state_ = State::Failed;
}

void Channel::take_data(av_stream stream, std::span<const u8> bytes) {
  if (ended_[stream] || bytes.size() > credit_[stream]) return break_off("output without credit for it");
  credit_[stream] -= static_cast<u32>(bytes.size());
  total_[stream] += bytes.size();
  user_.output(stream, bytes);
}

void Channel::take_end(av_stream stream, std::span<const u8> bytes) {
  const auto total = value_of<u64>(bytes);
  if (!total || ended_[stream] || *total != total_[stream]) return break_off("output of which some did not come");
  ended_[stream] = true;
}

void Channel::take_credit(std::span<const u8> bytes) {
  const auto more = value_of<u32>(bytes);
  if (!more || *more > AV_WINDOW - credit_[AV_STDIN]) return break_off("more credit than there may be");
  credit_[AV_STDIN] += *more;
}

void Channel::take_exited(std::span<const u8> bytes) {
  const auto exited = value_of<av_exited>(bytes);
  const bool known = exited && ((exited->kind == AV_END_STATUS && exited->value < 256) ||
                                (exited->kind == AV_END_SIGNAL && exited->value > 0 && exited->value < 128));
  if (!known) return break_off("an end of the command of no known kind");
  if (!ended_[AV_STDOUT] || !ended_[AV_STDERR]) return break_off("an end of the command before that of its output");
  exited_ = *exited;
  state_ = State::Exited;
}

/// What it said before stands: a command that has ended has.
void Channel::break_off(std::string why) {
  partial_.clear();
  if (state_ == State::Exited || state_ == State::Failed) return;
  broken_ = std::move(why);
  state_ = State::Broken;
}

// --- what goes

void Channel::send(u8 type, u8 stream, std::span<const u8> bytes) {
  const av_frame head{type, stream, 0, static_cast<u32>(bytes.size())};
  const auto* const at = reinterpret_cast<const u8*>(&head);
  outgoing_.insert(outgoing_.end(), at, at + sizeof head);
  outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
}

void Channel::run(const CommandRequest& request) {
  using namespace std::chrono;
  const auto now = system_clock::now().time_since_epoch();
  const av_run run{.flags = request.terminal ? AV_TERMINAL : 0,
                   .size = request.size,
                   .realtime_s = request.sets_time ? static_cast<u64>(duration_cast<seconds>(now).count()) : 0,
                   .realtime_ns = static_cast<u32>(duration_cast<nanoseconds>(now % seconds(1)).count()),
                   .arguments = static_cast<u32>(request.command.size()),
                   .variables = static_cast<u32>(request.variables.size()),
                   .zero = 0};
  const auto* const at = reinterpret_cast<const u8*>(&run);
  std::vector<u8> bytes(at, at + sizeof run);
  add_word(bytes, request.user);
  add_word(bytes, request.folder);
  for (const std::string& word : request.command) add_word(bytes, word);
  for (const std::string& word : request.variables) add_word(bytes, word);
  std::span<const u8> rest = bytes;
  while (!rest.empty()) {
    const auto part = rest.first(std::min<std::size_t>(rest.size(), AV_FRAME_MOST));
    rest = rest.subspan(part.size());
    send(AV_RUN, rest.empty() ? 0 : 1, part);
  }
  ended_[AV_STDERR] = request.terminal;  // where all output is one stream
}

void Channel::send_input(std::span<const u8> bytes) {
  credit_[AV_STDIN] -= static_cast<u32>(bytes.size());
  total_[AV_STDIN] += bytes.size();
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), AV_FRAME_MOST)))
    send(AV_DATA, AV_STDIN, bytes.first(std::min<std::size_t>(bytes.size(), AV_FRAME_MOST)));
}

void Channel::end_input() {
  ended_[AV_STDIN] = true;
  send_value(AV_END, AV_STDIN, total_[AV_STDIN]);
}

void Channel::give_credit(av_stream stream, u32 bytes) {
  credit_[stream] += bytes;
  send_value(AV_CREDIT, stream, bytes);
}

void Channel::close_output(av_stream stream) { send(AV_CLOSE, stream, {}); }
void Channel::send_signal(u32 signal) { send_value(AV_SIGNAL, 0, signal); }
void Channel::resize(av_size size) { send_value(AV_RESIZE, 0, size); }

}  // namespace armvisor::exec
