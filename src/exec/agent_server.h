#pragma once
// What a machine's agent serves beside the machine's own command: programs of this user connect to the machine's agent
// socket, and each has a command in the guest. It passes bytes between a program and one of the ports that the agent
// serves (protocol.h), a program and a command at a time on each.
//
// Of what a program says whole frames are passed on, so that one that is gone in the middle of a frame leaves nothing
// behind; then the agent is told by AV_HANGUP. Of what the agent says only its first frame is looked at: the program
// checks the rest. A port is for another program when the guest has closed it and opened it again. What is held is a
// frame and k_most_output for each port, of at most k_most_waiting programs that wait for a port.
//
// Threads: the guest's bytes come on vCPU threads, all else is done by the server's own. A slot's `sending`
// comes before the locks of the port and mutex_; mutex_ is a leaf.
#include <array>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/wake_event.h"
#include "devices/chardev/chardev.h"
#include "exec/channel.h"
#include "exec/protocol.h"

namespace armvisor::exec {

/// What commands have where who asks for one says nothing: of an image, its user, variables and working folder.
struct CommandDefaults {
  std::string user{}, folder{};
  std::vector<std::string> variables{};
};

class AgentServer {
 public:
  static constexpr std::size_t k_most_output = std::size_t{1} << 20, k_most_waiting = 16;

  static Result<std::unique_ptr<AgentServer>> create(const CommandDefaults& defaults);
  ~AgentServer();  ///< as stop()

  /// The machine's end of port `number`, from 1 to AV_SESSIONS; the server outlives it.
  std::unique_ptr<devices::Chardev> line(u32 number);
  /// Begins to serve, when the machine called `name` has that name to itself.
  Status start(const std::string& name);
  void stop();  ///< ends what start() began; those who are connected see the end

 private:
  class Line;
  /// A program that is connected.
  struct Peer {
    Fd fd;
    std::vector<u8> out{};  ///< for it
  };
  struct Slot {
    /// Held while something is sent to the guest, so that nothing of one opening comes to the next. Before mutex_.
    std::mutex sending;
    enum class State : u8 {
      Closed,    ///< the guest's process is not there
      Greeting,  ///< it is, and has not said AV_HELLO
      Ready,     ///< it has
      Busy,      ///< it serves `peer`
      Hung,      ///< `peer` is gone; the guest has not closed the port yet
    };
    Line* line = nullptr;
    State state = State::Closed;
    Peer peer{};
    std::vector<u8> hello{};     ///< what came of it
    std::vector<u8> partial{};   ///< of the peer: a frame that is not whole
    std::vector<u8> to_guest{};  ///< whole frames
    bool held_up = false;        ///< output found no room
  };

  AgentServer(WakeEvent wake, std::vector<u8> greeting);
  bool from_guest(Slot& slot, std::span<const u8> bytes);
  void guest_opened(Slot& slot, bool open);
  void run();
  void accept();
  void assign();
  void serve(Slot& slot);
  void read_peer(Slot& slot);
  void hang_up(Slot& slot);
  void send_to_guest(Slot& slot);
  static bool flush(Peer& peer);
  static bool is_gone(const Peer& peer);

  const WakeEvent wake_;
  const std::vector<u8> greeting_;  ///< a frame that says the defaults
  std::string path_;
  u64 inode_ = 0;  ///< of the socket at path_
  Fd socket_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards what follows
  std::array<Slot, AV_SESSIONS> slots_;
  std::list<Peer> waiting_, leaving_;  ///< for a port; with the rest of what the guest said
  std::thread thread_;
};

}  // namespace armvisor::exec
