#pragma once
// A server of 9P2000.L over a shared folder: one message in, one out, by one thread. Requests are done one after the
// other, so a request that is to be flushed has been answered before.
//
// The guest may send anything. What it may hold is bounded (ShareLimits); beyond that it is told EMFILE, as by a host
// without descriptors.
#include <sys/uio.h>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "devices/ninep/fid_table.h"
#include "devices/ninep/shared_folder.h"
#include "devices/ninep/wire.h"

namespace armvisor::devices::ninep {

class Server {
 public:
  static constexpr u32 k_smallest_message = 4096;

  explicit Server(std::shared_ptr<SharedFolder> folder);

  /// Buffers of a request and for its answer; the lists are used up. Gives the bytes that were written to the answer;
  /// nothing: there is no message in the request, or no room.
  std::optional<u32> answer(std::span<iovec> request, std::span<iovec> reply);
  /// Nobody has a fid any more, and no size of messages is agreed on.
  void reset();

  // For counters and tests. What the last answer was.
  bool failed() const { return failed_; }
  u64 bytes_read() const { return bytes_read_; }
  u64 bytes_written() const { return bytes_written_; }
  std::size_t fids() const { return fids_.size(); }
  std::size_t open_fids() const { return open_; }
  SharedFolder& folder() { return *folder_; }

 private:
  int dispatch(Message type, Reader& in, Writer& out);
  int do_version(Reader& in, Writer& out);
  int do_attach(Reader& in, Writer& out);
  int do_walk(Reader& in, Writer& out);
  int do_clunk(Reader& in);
  int do_remove(Reader& in);
  int do_lopen(Reader& in, Writer& out);
  int do_lcreate(Reader& in, Writer& out);
  int do_read(Reader& in, Writer& out);
  int do_write(Reader& in, Writer& out);
  int do_readdir(Reader& in, Writer& out);
  int do_getattr(Reader& in, Writer& out);
  int do_setattr(Reader& in);
  int do_statfs(Reader& in, Writer& out);
  int do_fsync(Reader& in);
  int do_symlink(Reader& in, Writer& out);
  int do_mknod(Reader& in, Writer& out);
  int do_mkdir(Reader& in, Writer& out);
  int do_link(Reader& in);
  int do_readlink(Reader& in, Writer& out);
  int do_rename(Reader& in);
  int do_renameat(Reader& in);
  int do_unlinkat(Reader& in);
  int do_xattrwalk(Reader& in, Writer& out);
  int do_xattrcreate(Reader& in);
  int do_lock(Reader& in, Writer& out);
  int do_getlock(Reader& in, Writer& out);

  Fid* fid(u32 number, int& error);
  int put_qid(const File& file, Writer& out);
  int finish_new(const NodeRef& node, Writer& out);
  int clunk(u32 number);
  int check_room_for_open(bool xattr = false) const;
  bool is_read_only() const { return folder_->options().read_only; }
  int read_file(const Fd& file, u64 offset, u32 count, Writer& out);
  int read_bytes(const std::vector<u8>& value, u64 offset, u32 count, Writer& out);

  const ShareLimits limits_;
  const std::shared_ptr<SharedFolder> folder_;
  EntryBudget entries_;
  FidTable fids_;
  std::size_t open_ = 0, xattrs_ = 0;  ///< of the fids
  u32 message_ = 0;                    ///< bytes, as agreed; 0: nothing is

  // Of the message at hand.
  std::span<iovec> data_in_;  ///< what is behind Twrite's header
  std::span<iovec> reply_;
  std::size_t data_out_ = 0;  ///< bytes of Rread that are in the reply already, behind its header
  bool failed_ = false;
  u64 bytes_read_ = 0, bytes_written_ = 0;
  std::vector<u8> request_bytes_, reply_bytes_, entries_bytes_;
  std::vector<iovec> parts_, rest_;
};

}  // namespace armvisor::devices::ninep
