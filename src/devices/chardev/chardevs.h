#pragma once
// The character devices of a machine: opened as options say, each with one user, or several where it is a mux.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "devices/chardev/chardev.h"
#include "devices/chardev/chardev_options.h"
#include "devices/chardev/mux.h"

namespace armvisor::devices {

/// What a list of them is known by: its place in the list; nothing: nobody is at the other end.
using ChardevIndex = std::optional<u32>;

class Chardevs {
 public:
  struct World {
    std::vector<std::string> inputs{};  ///< files that the machine reads, and that are not to be written
    std::function<void()> quit{};       ///< somebody typed the key that ends the machine
    /// What the user is to be told: "the console is on /dev/pts/3".
    std::function<void(const ChardevOptions&, const Chardev&)> announce{};
  };
  struct Entry {
    std::string label;
    std::string filename;
    bool used;
  };

  /// Servers listen when it returns, and clients are connected; files are as they were. `stop_fd` ends the waiting.
  static Result<std::unique_ptr<Chardevs>> open(const std::vector<ChardevOptions>& options, World world, int stop_fd);
  ~Chardevs() { stop(); }

  /// For one more user; null: nobody is at the other end. An error if it has one, and is no mux.
  Result<Chardev*> use(ChardevIndex index);
  /// Empties files, and waits for clients.
  Status wait_for_peers(int stop_fd);
  /// Begins to read. Users attach themselves before or after.
  Status start();
  void stop();

  void give_up();
  void hurry(bool begin);  ///< (any thread) as of each of them
  void drain();
  /// Who has connected is there before what comes next. (any thread)
  void accept_waiting();
  void continued();
  void look_at_sizes();
  std::vector<Entry> list() const;  ///< (any thread)

 private:
  struct Item {
    ChardevOptions options;
    std::unique_ptr<Chardev> plain;  ///< one of these two
    std::unique_ptr<Mux> mux;
    std::optional<OutputFile> to_empty;
    u32 users = 0;
    Chardev& below() const { return mux ? mux->below() : *plain; }
  };
  Status open_one(const ChardevOptions& options, const World& world, int stop_fd);
  Result<std::unique_ptr<Chardev>> make(Item& item, const World& world, int stop_fd);
  Result<std::unique_ptr<Chardev>> make_file(Item& item, const World& world);
  Result<std::unique_ptr<Chardev>> make_pipe(const ChardevOptions& options);

  std::vector<Item> items_;
};

}  // namespace armvisor::devices
