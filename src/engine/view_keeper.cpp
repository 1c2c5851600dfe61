#include "engine/view_keeper.h"

#include "memory/fence.h"

namespace armvisor::engine {

void ViewKeeper::sync() {
  acquire_fence();  // the guest's context synchronisation: what it has been told of is looked at anew
  u32 keys[2];
  for (const bool privileged : {false, true}) {
    frontend::Context context = frontend::Context::of(context_.guest, privileged);
    context.it = 0;
    context.thumb = false;
    keys[privileged] = context.key();
  }
  memory_.tlb();
  memory_.keep_by_new_tables();
  mmu::Space& space = tlb_.select(context_.guest);
  const bool privileged = context_.guest.privileged();
  windows_.prepare(privileged);
  context_.dispatch.views = &views_for(space, keys);
  windows_.chosen();
  context_.dispatch.now = context_.dispatch.views->view[privileged];
  if (replacement_) context_.dispatch.now.tlb = replacement_;
  if (tlb_.numbers_wrapped()) context_.forget_jumps();
}

/// The views of `space`, the current one, with the keys of both privileges; kept from an earlier time if they still
/// hold.
Views& ViewKeeper::views_for(mmu::Space& space, const u32 (&keys)[2]) {
  constexpr u32 k_thumb = 1;
  Views(&kept)[2] = context_.dispatch.kept_views;
  const u64 dacr = context_.guest.cp15.dacr;
  mmu::SpaceKey key = space.key;
  key.dacr = 0;
  const View(&old)[2] = (context_.dispatch.views ? context_.dispatch.views : &kept[0])->view;
  if (!memory_.views_hold() || !(key == key_) || ((old[0].key[0] & ~k_key_window) | old[0].fp) != keys[0] ||
      ((old[1].key[0] & ~k_key_window) | old[1].fp) != keys[1]) {
    for (Views& v : kept) v.dacr = Views::k_no_dacr;
    context_.dispatch.views_changes = tlb_.changes();
    key_ = key;
  }
  for (Views& v : kept)
    if (v.dacr == dacr && v.space == &space) return v;
  Views& v = context_.dispatch.views == &kept[0] ? kept[1] : kept[0];
  v.dacr = dacr;
  v.space = &space;
  v.other = &kept[&v == &kept[0]];
  for (const bool p : {false, true}) {
    View& view = v.view[p];
    v.window[p] = windows_.base_for(p, keys[p]);
    const u32 arm = base_key(keys[p]) | (v.window[p] > k_window_wanted ? k_key_window : 0);
    view = {.tlb = space.data[p],
            .exec = space.exec_of(p),
            .tag = u64{tlb_.exec_number(p, arm)} << 32,
            .key = {arm, arm | k_thumb},
            .salt = 0,
            .fp = keys[p] & frontend::Context::k_fp_key};
    if (!space.shares_code(p)) view.salt = jump_salt(space.id + 1);
  }
  // Generated code that changes DACR goes on in its block, and so with the same window.
  if (v.other->window[1] != v.window[1]) v.other->dacr = Views::k_no_dacr;
  return v;
}

void ViewKeeper::replace_tlb(mmu::TlbEntry* entries) {
  replacement_ = entries;
  if (entries) context_.dispatch.now.tlb = entries;
}

}  // namespace armvisor::engine
