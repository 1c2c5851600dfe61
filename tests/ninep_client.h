#pragma once
// A client of 9P2000.L for tests: a temporary folder of the host, a server of it, and the messages that a guest sends.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "devices/ninep/server.h"

namespace armvisor::devices::ninep::testing {

namespace fs = std::filesystem;

/// A folder that ends with the test, with "share" in it, and things beside that which no guest may reach.
class SharedTree {
 public:
  SharedTree() {
    char name[] = "/tmp/armvisor-9p-XXXXXX";
    if (!mkdtemp(name)) std::abort();
    base_ = name;
    fs::create_directory(base_ / "share");
    put(base_ / "secret", "not for guests");
  }
  ~SharedTree() {
    std::error_code error;
    fs::remove_all(base_, error);
  }
  fs::path base() const { return base_; }
  fs::path share() const { return base_ / "share"; }
  fs::path at(const std::string& name) const { return share() / name; }
  static void put(const fs::path& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }
  static std::string get(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  fs::path base_;
};

/// An answer: its error, 0 for none, and what is behind the header.
struct Answer {
  int error = 0;
  std::vector<u8> bytes;
  Reader reader() const { return Reader(bytes); }
};

class Client {
 public:
  static constexpr u32 k_root = 1;
  using Fill = std::function<void(Writer&)>;

  explicit Client(ShareOptions options = {}, ShareLimits limits = {.open = 64, .named = 32}) {
    options.path = tree.share();
    if (options.tag.empty()) options.tag = "share";
    server = std::make_unique<Server>(*SharedFolder::create(options, limits));
  }

  /// A message of any bytes; no answer: the server takes it for no message.
  std::optional<std::vector<u8>> raw(std::vector<u8> message, std::size_t room = 65536) {
    std::vector<u8> reply(room);
    std::vector<iovec> in = pieces(message), out = pieces(reply);
    const auto bytes = server->answer(in, out);
    if (!bytes) return std::nullopt;
    reply.resize(*bytes);
    return reply;
  }
  Answer call(Message type, const Fill& fill) {
    std::vector<u8> message;
    Writer w(message, 1 << 20);
    w.word(0);
    w.byte(static_cast<u8>(type));
    w.half(7);
    fill(w);
    w.patch<u32>(0, static_cast<u32>(w.size()));
    const auto reply = raw(message);
    if (!reply || reply->size() < k_header_bytes) return {.error = -1, .bytes = {}};
    Reader r(*reply);
    const u32 size = r.word();
    const u8 answered = r.byte();
    if (size != reply->size() || r.half() != 7) return {.error = -2, .bytes = {}};
    if (answered == static_cast<u8>(Message::Rlerror)) return {.error = static_cast<int>(r.word()), .bytes = {}};
    if (answered != static_cast<u8>(type) + 1) return {.error = -3, .bytes = {}};
    return {.error = 0, .bytes = {reply->begin() + k_header_bytes, reply->end()}};
  }

  int version(u32 size = 65536, std::string_view text = "9P2000.L") {
    return call(Message::Tversion,
                [&](Writer& w) {
                  w.word(size);
                  w.string(text);
                })
        .error;
  }
  int attach(u32 fid = k_root, u32 uid = 0) {
    return call(Message::Tattach,
                [&](Writer& w) {
                  w.word(fid);
                  w.word(k_no_fid);
                  w.string("user");
                  w.string("");
                  w.word(uid);
                })
        .error;
  }
  /// Ready to go.
  void start() {
    if (version() != 0 || attach() != 0) std::abort();
  }
  Answer walk_answer(u32 fid, u32 new_fid, const std::vector<std::string>& names) {
    return call(Message::Twalk, [&](Writer& w) {
      w.word(fid);
      w.word(new_fid);
      w.half(static_cast<u16>(names.size()));
      for (const auto& name : names) w.string(name);
    });
  }
  /// EAGAIN: only some of the names were there.
  int walk(u32 fid, u32 new_fid, const std::vector<std::string>& names) {
    const Answer a = walk_answer(fid, new_fid, names);
    return a.error ? a.error : a.reader().half() == names.size() ? 0 : EAGAIN;
  }
  int open(u32 fid, u32 flags) {
    return call(Message::Tlopen,
                [&](Writer& w) {
                  w.word(fid);
                  w.word(flags);
                })
        .error;
  }
  int create(u32 fid, std::string_view name, u32 flags = 2, u32 mode = 0644, u32 gid = 0) {
    return call(Message::Tlcreate,
                [&](Writer& w) {
                  w.word(fid);
                  w.string(name);
                  w.word(flags);
                  w.word(mode);
                  w.word(gid);
                })
        .error;
  }
  Answer read_answer(u32 fid, u64 offset, u32 count, Message type = Message::Tread) {
    return call(type, [&](Writer& w) {
      w.word(fid);
      w.dword(offset);
      w.word(count);
    });
  }
  /// "ERROR N" if it fails.
  std::string read(u32 fid, u64 offset = 0, u32 count = 4096) {
    const Answer a = read_answer(fid, offset, count);
    if (a.error) return "ERROR " + std::to_string(a.error);
    return {a.bytes.begin() + 4, a.bytes.end()};
  }
  int write(u32 fid, u64 offset, std::string_view text) {
    return call(Message::Twrite,
                [&](Writer& w) {
                  w.word(fid);
                  w.dword(offset);
                  w.word(static_cast<u32>(text.size()));
                  w.put(text.data(), text.size());
                })
        .error;
  }
  struct Entry {
    Qid qid;
    u64 offset;
    u8 type;
    std::string name;
  };
  int readdir(u32 fid, u64 offset, u32 count, std::vector<Entry>& entries) {
    const Answer a = read_answer(fid, offset, count, Message::Treaddir);
    if (a.error) return a.error;
    Reader r = a.reader();
    r.word();
    for (;;) {
      Entry e;
      e.qid.type = r.byte();
      e.qid.version = r.word();
      e.qid.path = r.dword();
      e.offset = r.dword();
      e.type = r.byte();
      e.name = r.string();
      if (!r.ok()) return 0;
      entries.push_back(std::move(e));
    }
  }
  int clunk(u32 fid) {
    return call(Message::Tclunk, [&](Writer& w) { w.word(fid); }).error;
  }
  int remove(u32 fid) {
    return call(Message::Tremove, [&](Writer& w) { w.word(fid); }).error;
  }
  int mkdir(u32 fid, std::string_view name, u32 mode = 0755, u32 gid = 0) {
    return call(Message::Tmkdir,
                [&](Writer& w) {
                  w.word(fid);
                  w.string(name);
                  w.word(mode);
                  w.word(gid);
                })
        .error;
  }
  int symlink(u32 fid, std::string_view name, std::string_view target) {
    return call(Message::Tsymlink,
                [&](Writer& w) {
                  w.word(fid);
                  w.string(name);
                  w.string(target);
                  w.word(0);
                })
        .error;
  }
  int mknod(u32 fid, std::string_view name, u32 mode, u32 major = 0, u32 minor = 0) {
    return call(Message::Tmknod,
                [&](Writer& w) {
                  w.word(fid);
                  w.string(name);
                  w.word(mode);
                  w.word(major);
                  w.word(minor);
                  w.word(0);
                })
        .error;
  }
  int link(u32 folder, u32 fid, std::string_view name) {
    return call(Message::Tlink,
                [&](Writer& w) {
                  w.word(folder);
                  w.word(fid);
                  w.string(name);
                })
        .error;
  }
  int rename(u32 fid, u32 folder, std::string_view name) {
    return call(Message::Trename,
                [&](Writer& w) {
                  w.word(fid);
                  w.word(folder);
                  w.string(name);
                })
        .error;
  }
  int renameat(u32 folder, std::string_view name, u32 new_folder, std::string_view new_name) {
    return call(Message::Trenameat,
                [&](Writer& w) {
                  w.word(folder);
                  w.string(name);
                  w.word(new_folder);
                  w.string(new_name);
                })
        .error;
  }
  int unlinkat(u32 folder, std::string_view name, u32 flags = 0) {
    return call(Message::Tunlinkat,
                [&](Writer& w) {
                  w.word(folder);
                  w.string(name);
                  w.word(flags);
                })
        .error;
  }
  std::string readlink(u32 fid) {
    const Answer a = call(Message::Treadlink, [&](Writer& w) { w.word(fid); });
    return a.error ? "ERROR " + std::to_string(a.error) : std::string(a.reader().string());
  }
  struct Attr {
    int error = 0;
    Qid qid{};
    u32 mode = 0, uid = 0, gid = 0;
    u64 links = 0, rdev = 0, size = 0;
  };
  Attr getattr(u32 fid) {
    const Answer a = call(Message::Tgetattr, [&](Writer& w) {
      w.word(fid);
      w.dword(0x7ff);
    });
    Attr attr{.error = a.error};
    Reader r = a.reader();
    r.dword();
    attr.qid.type = r.byte();
    attr.qid.version = r.word();
    attr.qid.path = r.dword();
    attr.mode = r.word();
    attr.uid = r.word();
    attr.gid = r.word();
    attr.links = r.dword();
    attr.rdev = r.dword();
    attr.size = r.dword();
    return attr;
  }
  struct Set {
    u32 valid = 0, mode = 0, uid = 0, gid = 0;
    u64 size = 0, atime = 0, mtime = 0;
  };
  int setattr(u32 fid, const Set& s) {
    return call(Message::Tsetattr,
                [&](Writer& w) {
                  w.word(fid);
                  w.word(s.valid);
                  w.word(s.mode);
                  w.word(s.uid);
                  w.word(s.gid);
                  w.dword(s.size);
                  w.dword(s.atime);
                  w.dword(0);
                  w.dword(s.mtime);
                  w.dword(0);
                })
        .error;
  }
  /// Sets an extended attribute of the file that `fid` is; the fid is gone then.
  int set_xattr(u32 fid, std::string_view name, std::string_view value, u32 flags = 0) {
    const int error = call(Message::Txattrcreate, [&](Writer& w) {
                        w.word(fid);
                        w.string(name);
                        w.dword(value.size());
                        w.word(flags);
                      }).error;
    if (error) return error;
    if (const int failed = value.empty() ? 0 : write(fid, 0, value)) return failed;
    return clunk(fid);
  }
  /// Its value, or the names of all; "ERROR N" if it fails. Uses a fid of its own.
  std::string get_xattr(u32 fid, std::string_view name) {
    constexpr u32 k_own = 4'000'000;
    const Answer a = call(Message::Txattrwalk, [&](Writer& w) {
      w.word(fid);
      w.word(k_own);
      w.string(name);
    });
    if (a.error) return "ERROR " + std::to_string(a.error);
    std::string value = read(k_own, 0, static_cast<u32>(a.reader().dword()));
    clunk(k_own);
    return value;
  }

  SharedTree tree;
  std::unique_ptr<Server> server;

 private:
  /// In parts that no structure of a message keeps to.
  static std::vector<iovec> pieces(std::vector<u8>& bytes) {
    std::vector<iovec> all;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t n = std::min(bytes.size() - at, at < 11 ? std::size_t{11} : std::size_t{4096});
      all.push_back({bytes.data() + at, n});
      at += n;
    }
    return all;
  }
};

}  // namespace armvisor::devices::ninep::testing
