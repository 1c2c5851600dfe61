#pragma once
// A switch: takes frames of each member, and gives them to the one who has their address, or to all others. Members
// connect to a socket; each is the user's own. Who does not read loses frames, and nobody else does.
#include <memory>
#include <vector>

#include "devices/backends/frame_stream.h"
#include "devices/switch/mac_table.h"
#include "devices/switch/switch_nat.h"
#include "devices/switch/switch_place.h"

namespace armvisor::devices {

class SwitchHub {
 public:
  static constexpr std::size_t k_most_members = 64;
  /// What a member sends, as a frame of one byte, to have the user-mode network on the switch.
  static constexpr u8 k_ask_nat = 'N';

  SwitchHub(Fd listening, SwitchPlace place) : listening_(std::move(listening)), place_(std::move(place)) {}

  /// Carries frames until nobody is connected any more.
  void run();

 private:
  using Frame = std::span<const u8>;
  static constexpr MacTable::Port k_nat_port = 0;
  struct Member {
    MacTable::Port port;
    FrameStream stream;
    bool gone = false;
  };

  void wait();
  bool accept();
  void carry(Frame frame, MacTable::Port from);
  void take(Frame frame, MacTable::Port from);
  void serve(Member& member);
  void finish_round();

  const Fd listening_;
  SwitchPlace place_;
  std::vector<std::unique_ptr<Member>> members_;
  MacTable::Port next_port_ = k_nat_port + 1;
  MacTable table_;
  std::unique_ptr<SwitchNat> nat_;
  bool nat_waits_ = false;   ///< it was given frames in this round
  u64 accept_again_ms_ = 0;  ///< nobody is accepted before: the host had no more descriptors or memory
  std::vector<pollfd> polled_;
  u64 now_ms_ = 0;
};

/// The whole process that is a switch: serves descriptor `listening`, which is that of a SwitchPlace.
Status run_switch(const std::string& name, int listening);

}  // namespace armvisor::devices
