// Any bytes as what the agent in a guest says, in pieces.
#include <array>
#include <utility>

#include "exec/channel.h"
#include "input.h"

using namespace armvisor;

namespace {

struct Host final : exec::ChannelUser {
  void output(av_stream, std::span<const u8> bytes) override { taken += bytes.size(); }
  u64 taken = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  using State = exec::Channel::State;
  fuzz::Input input(data, size);
  Host host;
  exec::Channel channel(host);
  u64 credit = 0;
  bool requested = false;
  State before = channel.state();
  while (!input.empty()) {
    channel.receive(input.bytes(1 + input.get<u8>()));
    const State now = channel.state();
    if (now == State::Ready && !std::exchange(requested, true)) channel.run({.command = {"true"}});
    if (now == State::Running && channel.credit(AV_STDOUT) < 64) {
      channel.give_credit(AV_STDOUT, 256);
      credit += 256;
    }
    if (now == State::Running && channel.credit(AV_STDIN) > 0) channel.send_input(std::array<u8, 1>{});
    if (host.taken > credit) fuzz::fail("output was taken that there was no credit for");
    if (now < before) fuzz::fail("a conversation that goes back");
    if ((before == State::Exited || before == State::Failed) && now != before) fuzz::fail("an end that does not stand");
    if (now == State::Exited && !(channel.has_ended(AV_STDOUT) && channel.has_ended(AV_STDERR)))
      fuzz::fail("a command that ended before its output");
    channel.outgoing().clear();
    before = now;
  }
  return 0;
}
