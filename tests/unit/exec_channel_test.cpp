// The conversation with the agent, who may say anything.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "exec/channel.h"

namespace armvisor::exec {
namespace {

using State = Channel::State;

template <class T>
std::vector<u8> frame(u8 type, u8 stream, const T& value) {
  const av_frame head{type, stream, 0, sizeof value};
  std::vector<u8> bytes(sizeof head + sizeof value);
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, &value, sizeof value);
  return bytes;
}
std::vector<u8> text_frame(u8 type, u8 stream, std::string_view text) {
  const av_frame head{type, stream, 0, static_cast<u32>(text.size())};
  std::vector<u8> bytes(sizeof head + text.size());
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, text.data(), text.size());
  return bytes;
}

struct Host final : ChannelUser {
  void output(av_stream stream, std::span<const u8> bytes) override { text[stream].append(bytes.begin(), bytes.end()); }
  State say(const std::vector<u8>& bytes) {
    channel.receive(bytes);
    return channel.state();
  }
  void run(bool terminal = false) {
    say(frame(AV_HELLO, 0, av_hello{AV_PROTOCOL}));
    channel.run({.command = {"true"}, .terminal = terminal});
    say(text_frame(AV_STARTED, 0, ""));
    channel.give_credit(AV_STDOUT, 10);
  }
  std::string text[AV_STREAMS];
  Channel channel{*this};
};

const av_exited k_success{AV_END_STATUS, 0, 0, 0};

TEST(Channel, AnEndIsTakenOnlyWhenAllOutputHasCome) {
  Host host;
  host.run();
  EXPECT_EQ(host.say(text_frame(AV_DATA, AV_STDOUT, "abc")), State::Running);
  EXPECT_EQ(host.say(frame(AV_END, AV_STDOUT, u64{3})), State::Running);
  EXPECT_EQ(host.say(frame(AV_END, AV_STDERR, u64{0})), State::Running);
  EXPECT_EQ(host.say(frame(AV_EXITED, 0, av_exited{AV_END_STATUS, 7, 0, 0})), State::Exited);
  EXPECT_EQ(host.text[AV_STDOUT], "abc");
  EXPECT_EQ(host.channel.exited().value, 7u);
  EXPECT_EQ(host.say(frame(AV_EXITED, 0, k_success)), State::Exited);
  EXPECT_EQ(host.channel.exited().value, 7u) << "what was said first stands";
}

TEST(Channel, AnEndBeforeThatOfTheOutputIsNone) {
  Host host;
  host.run();
  host.say(frame(AV_END, AV_STDOUT, u64{0}));
  EXPECT_EQ(host.say(frame(AV_EXITED, 0, k_success)), State::Broken);
}

TEST(Channel, OutputThatDidNotComeIsMissed) {
  Host host;
  host.run();
  host.say(text_frame(AV_DATA, AV_STDOUT, "abc"));
  EXPECT_EQ(host.say(frame(AV_END, AV_STDOUT, u64{4})), State::Broken);
}

TEST(Channel, OutputBeyondItsCreditIsNotTaken) {
  Host host;
  host.run();
  EXPECT_EQ(host.say(text_frame(AV_DATA, AV_STDOUT, "0123456789a")), State::Broken);
  EXPECT_EQ(host.text[AV_STDOUT], "");
}

TEST(Channel, FramesOutOfTurnEndIt) {
  const std::vector<u8> frames[] = {text_frame(AV_STARTED, 0, ""),
                                    text_frame(AV_DATA, AV_STDOUT, ""),
                                    frame(AV_EXITED, 0, k_success),
                                    frame(AV_CREDIT, AV_STDIN, u32{1}),
                                    frame(AV_END, AV_STDOUT, u64{0}),
                                    text_frame(AV_RUN, 0, ""),
                                    frame(AV_HELLO, 0, av_hello{AV_PROTOCOL + 1}),
                                    text_frame(99, 0, "")};
  for (const auto& bytes : frames) {
    Host host;
    EXPECT_EQ(host.say(bytes), State::Broken) << int(bytes[0]);
    EXPECT_EQ(host.say(frame(AV_HELLO, 0, av_hello{AV_PROTOCOL})), State::Broken);
  }
}

TEST(Channel, AFrameThatIsTooLongIsNotWaitedFor) {
  Host host;
  const av_frame head{AV_HELLO, 0, 0, AV_FRAME_MOST + 1};
  std::vector<u8> bytes(sizeof head);
  std::memcpy(bytes.data(), &head, sizeof head);
  EXPECT_EQ(host.say(bytes), State::Broken);
}

TEST(Channel, FramesMayComeInAnyPieces) {
  Host host;
  std::vector<u8> all = frame(AV_HELLO, 0, av_hello{AV_PROTOCOL});
  const auto failed = frame(AV_FAILED, 0, av_failed{AV_STEP_EXECUTE, 2});
  all.insert(all.end(), failed.begin(), failed.end());
  for (const u8 byte : all) host.say({byte});
  EXPECT_EQ(host.channel.state(), State::Failed);
  EXPECT_EQ(host.channel.failure().error, 2u);
}

TEST(Channel, NoMoreCreditThanAWindow) {
  Host host;
  host.run();
  EXPECT_EQ(host.say(frame(AV_CREDIT, AV_STDIN, AV_WINDOW)), State::Running);
  EXPECT_EQ(host.channel.credit(AV_STDIN), AV_WINDOW);
  EXPECT_EQ(host.say(frame(AV_CREDIT, AV_STDIN, u32{1})), State::Broken);
}

TEST(Channel, OnATerminalAllOutputIsOneStream) {
  Host host;
  host.run(true);
  host.say(frame(AV_END, AV_STDOUT, u64{0}));
  EXPECT_EQ(host.say(frame(AV_EXITED, 0, k_success)), State::Exited);
}

TEST(Channel, ALongRequestGoesInFrames) {
  Host host;
  host.channel.run({.command = {std::string(3 * AV_FRAME_MOST, 'x')}});
  const std::vector<u8>& out = host.channel.outgoing();
  std::size_t frames = 0, bytes = 0;
  for (std::size_t at = 0; at < out.size(); ++frames) {
    av_frame head;
    std::memcpy(&head, &out[at], sizeof head);
    at += sizeof head + head.length;
    bytes += head.length;
    EXPECT_EQ(head.stream, at < out.size() ? 1 : 0);
    EXPECT_LE(head.length, AV_FRAME_MOST);
  }
  EXPECT_EQ(frames, 4u);
  EXPECT_EQ(bytes, sizeof(av_run) + 2 + 3 * AV_FRAME_MOST + 1);
}

}  // namespace
}  // namespace armvisor::exec
