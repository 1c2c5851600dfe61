#include "devices/chardev/chardevs.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/host_error.h"
#include "base/log.h"
#include "devices/chardev/descriptor_chardev.h"
#include "devices/chardev/pty_chardev.h"
#include "devices/chardev/socket_chardev.h"
#include "devices/chardev/udp_chardev.h"

namespace armvisor::devices {
namespace {

using Kind = ChardevOptions::Kind;

void announce_pty(const ChardevOptions& options, const std::string& name) {
  if (!options.as_qemu) return say("the console is on " + name);
  std::printf("char device redirected to %s (label %s)\n", name.c_str(), options.label.c_str());
  std::fflush(stdout);
}

Result<std::unique_ptr<Chardev>> made(Result<std::unique_ptr<DescriptorChardev>> chardev) {
  if (!chardev) return chardev.take_error();
  return std::unique_ptr<Chardev>(*std::move(chardev));
}

/// QEMU opens a FIFO for both directions, so that it waits for nobody.
Result<Fd> open_pipe(const ChardevOptions& options, const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!fd) return host_error(options.option + ": expected to open the pipe " + path, errno, "make it with mkfifo");
  return fd;
}

}  // namespace

Result<std::unique_ptr<Chardevs>> Chardevs::open(const std::vector<ChardevOptions>& options, World world, int stop_fd) {
  auto all = std::make_unique<Chardevs>();
  for (const ChardevOptions& one : options) AV_TRY(all->open_one(one, world, stop_fd));
  return all;
}

Status Chardevs::open_one(const ChardevOptions& options, const World& world, int stop_fd) {
  Item item;
  item.options = options;
  AV_TRY_ASSIGN(auto chardev, make(item, world, stop_fd));
  if (!options.log_file.empty()) {
    AV_TRY_ASSIGN(OutputFile log, OutputFile::open(options.option + " logfile", options.log_file));
    AV_TRY(log.differs_from(world.inputs));
    AV_TRY(options.log_append ? log.append() : log.empty());
    AV_TRY(chardev->log_to(std::move(log).take()));
  }
  if (options.mux || options.keys.when != ConsoleKeys::When::Never)
    item.mux = std::make_unique<Mux>(std::move(chardev), options.keys, world.quit,
                                     options.as_qemu ? "QEMU: Terminated\n\r" : "");
  else
    item.plain = std::move(chardev);
  items_.push_back(std::move(item));
  return {};
}

Result<std::unique_ptr<Chardev>> Chardevs::make(Item& item, const World& world, int stop_fd) {
  const ChardevOptions& options = item.options;
  switch (options.kind) {
    case Kind::None: break;
    case Kind::Own: return options.make();
    case Kind::Stdio:
      return made(DescriptorChardev::create({.input = STDIN_FILENO,
                                             .output = {{}, STDOUT_FILENO, {}},
                                             .signals = options.keys.signals,
                                             .filename = "stdio"}));
    case Kind::Pty: {
      AV_TRY_ASSIGN(auto pty, PtyChardev::create(options.option));
      announce_pty(options, pty->name());
      return std::unique_ptr<Chardev>(std::move(pty));
    }
    case Kind::File: return make_file(item, world);
    case Kind::Pipe: return make_pipe(options);
    case Kind::Socket: {
      AV_TRY_ASSIGN(auto socket, SocketChardev::create(options.option, options.socket, stop_fd));
      return std::unique_ptr<Chardev>(std::move(socket));
    }
    case Kind::Udp: {
      AV_TRY_ASSIGN(auto socket, UdpChardev::create(options.option, options.socket.at, options.local));
      return std::unique_ptr<Chardev>(std::move(socket));
    }
  }
  return std::unique_ptr<Chardev>(std::make_unique<NullChardev>());
}

Result<std::unique_ptr<Chardev>> Chardevs::make_file(Item& item, const World& world) {
  const ChardevOptions& options = item.options;
  AV_TRY_ASSIGN(OutputFile file, OutputFile::open(options.option, options.path));
  AV_TRY(file.differs_from(world.inputs));
  AV_TRY_ASSIGN(Outlet::Target target, file.share());
  if (options.append)
    AV_TRY(file.append());
  else
    item.to_empty = std::move(file);
  DescriptorChardev::Ends ends{.output = std::move(target), .filename = "file:" + options.path};
  if (!options.input.empty()) {
    ends.owned_input = Fd(::open(options.input.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!ends.owned_input)
      return host_error(options.option + ": expected to read " + options.input, errno, "check the path");
  }
  return made(DescriptorChardev::create(std::move(ends)));
}

Result<std::unique_ptr<Chardev>> Chardevs::make_pipe(const ChardevOptions& options) {
  const bool two = ::access((options.path + ".in").c_str(), F_OK) == 0;
  AV_TRY_ASSIGN(Fd in, open_pipe(options, options.path + (two ? ".in" : "")));
  AV_TRY_ASSIGN(Fd out, open_pipe(options, options.path + (two ? ".out" : "")));
  return made(DescriptorChardev::create(
      {.owned_input = std::move(in), .output = {std::move(out), -1, {}}, .filename = "pipe:" + options.path}));
}

Result<Chardev*> Chardevs::use(ChardevIndex index) {
  if (!index) return nullptr;
  Item& item = items_.at(*index);
  ++item.users;
  Chardev* const user = item.mux ? item.mux->add_user() : item.users == 1 ? item.plain.get() : nullptr;
  if (user) return user;
  return Error{ErrorKind::BadArguments,
               item.options.option + ": expected " +
                   (item.mux ? "at most " + std::to_string(Mux::k_max_users) + " users of '" : "one user of '") +
                   item.options.label + "', found more; " +
                   (item.mux ? "leave one out" : "say mux=on, or give each its own")};
}

Status Chardevs::wait_for_peers(int stop_fd) {
  for (Item& item : items_) {
    if (item.to_empty) AV_TRY(item.to_empty->empty());
    item.to_empty.reset();
  }
  for (Item& item : items_) AV_TRY(item.below().wait_for_peer(stop_fd));
  return {};
}

Status Chardevs::start() {
  for (Item& item : items_) AV_TRY(item.below().start());
  return {};
}

void Chardevs::stop() {
  for (Item& item : items_) item.below().stop();
}

void Chardevs::give_up() {
  for (Item& item : items_) item.below().give_up();
}

void Chardevs::hurry(bool begin) {
  for (Item& item : items_) item.below().hurry(begin);
}

void Chardevs::drain() {
  for (Item& item : items_) item.below().drain();
}

void Chardevs::accept_waiting() {
  for (Item& item : items_) item.below().accept_waiting();
}

void Chardevs::continued() {
  for (Item& item : items_) item.below().continued();
}

void Chardevs::look_at_sizes() {
  for (Item& item : items_) item.below().look_at_size();
}

std::vector<Chardevs::Entry> Chardevs::list() const {
  std::vector<Entry> entries;
  for (const Item& item : items_)
    entries.push_back({item.options.label, (item.mux ? "mux" : item.below().filename()), item.users > 0});
  return entries;
}

}  // namespace armvisor::devices
