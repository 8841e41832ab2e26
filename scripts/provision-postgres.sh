#!/usr/bin/env bash
# Usage: scripts/provision-postgres.sh [MAJOR]        (MAJOR: 17, the default, 15, 16 or 18)
#
# Unpacks PostgreSQL MAJOR with pgvector, pg_cron, the contrib extensions, pgbouncer and openssl from Debian's packages
# into a private folder and prints that folder on stdout; progress goes to stderr. Needs apt and dpkg-deb, but no
# root and no installed package list: nothing outside the folder is written. About 15 s the first time, 10 ms afterwards.
#
#   FOLDER/usr/lib/postgresql/MAJOR/bin   postgres, initdb, psql, pg_dump, pg_basebackup, …
#   FOLDER/usr/sbin/pgbouncer, FOLDER/usr/bin/openssl
#
# Where a release has PostgreSQL MAJOR without pgvector, as Debian 12 has 15, pgvector is built from Debian's source
# package with gcc and make; without pg_cron then.
#
# The folder is relocatable. Each program in it is a small wrapper that starts the real one through the folder's own
# loader and C library, because the packages come from a newer Debian than this machine may be.
#
# TRACE_CONSOLE_TEST_CACHE   where the folders are kept
# DEBIAN_ARCH                another architecture (amd64, arm64) than this machine's; unpacks without trying it
set -euo pipefail
umask 022
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

major=${1:-17}
arch=${DEBIAN_ARCH:-}
builds_vector=no

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "provision-postgres: $1"
  say "  hint: $2"
  exit 1
}
no_packages_hint='set TEST_DATABASE_URL to a PostgreSQL with pgvector, or start a container engine'

[[ $major =~ ^[0-9]+$ ]] || fail "'$major' is not a major version" 'give 15, 16, 17 or 18'
for tool in apt-get apt-config dpkg dpkg-deb flock sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is not here, so Debian's packages cannot be used" "$no_packages_hint"
done
: "${arch:=$(dpkg --print-architecture)}"

# The server refuses to run as root and then runs as another user, who must be able to read the folder: /root will not do.
cache_folder() {
  if [[ -n ${TRACE_CONSOLE_TEST_CACHE:-} ]]; then
    echo "$TRACE_CONSOLE_TEST_CACHE"
  elif [[ $EUID -eq 0 ]]; then
    echo /var/cache/trace-console-test
  elif [[ -n ${XDG_CACHE_HOME:-} ]]; then
    echo "$XDG_CACHE_HOME/trace-console-test"
  elif [[ -n ${HOME:-} && -w $HOME ]]; then
    echo "$HOME/.cache/trace-console-test"
  else
    echo "${TMPDIR:-/tmp}/trace-console-test-cache-$EUID"
  fi
}

cache=$(cache_folder)
# A changed script makes a new folder: what it left out or wrapped may differ.
revision=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-10)
destination=$cache/postgres-$major-$arch-$revision

mkdir -p "$cache" || fail "cannot write $cache" 'set TRACE_CONSOLE_TEST_CACHE to a folder that you may write'
[[ -O $cache ]] || fail "$cache belongs to somebody else" 'set TRACE_CONSOLE_TEST_CACHE to a folder of your own'
exec 9>"$destination.lock"
flock 9
if [[ -f $destination/.complete ]]; then
  echo "$destination"
  exit 0
fi

work=$(mktemp -d "$destination.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
apt_state=$work/apt
root=$work/root
mkdir -p "$apt_state"/{lists/partial,archives/partial} "$root" "$work/debs"
# An empty package list makes apt resolve everything down to the C library.
: >"$apt_state/status"

# A private apt: of the machine's own configuration only what says how to download is kept (proxies, certificates, whether
# a frozen mirror's dates matter). Its hooks would touch the machine, its sources and pins would mix with ours.
configure_apt() {
  {
    apt-config dump | grep '^Acquire::' | grep -vE '^Acquire::(IndexTargets|Languages|Changelogs|cdrom)' || true
    cat <<CONF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$apt_state/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$apt_state";
Dir::State::lists "$apt_state/lists";
Dir::State::status "$apt_state/status";
Dir::Cache "$apt_state";
Dir::Log "$apt_state";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
  } >"$apt_state/apt.conf"
}

private_apt() { APT_CONFIG=$apt_state/apt.conf "$@"; }

# The archives that this machine's own sources name, Debian releases first. Works before any apt-get update.
configured_sites() {
  local codename
  # shellcheck disable=SC1091
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
  apt-get update --print-uris 2>/dev/null |
    sed -n "s#^'\(.*\)/dists/\([^/]*\)/InRelease' .*#\1 \2#p" |
    awk -v codename="$codename" '
      $2 ~ /security/ { next }
      $2 == codename || $2 ~ /^(oldstable|stable|testing|unstable|sid)$/ { print 0, NR, $1; next }
      { print 1, NR, $1 }' |
    sort -n -k1,1 -k2,2 | awk '!seen[$3]++ { print $3 }'
}

debian_keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    if [[ -r $file ]]; then
      echo "$file"
      return
    fi
  done
  fail 'the keyring of the Debian archive is not here' "$no_packages_hint"
}

# Releases are asked one after the other, the most stable first, until one has pgvector for this major version. A site
# that is no Debian archive drops out here, since its index is not signed by Debian's keys.
find_release() {
  local keyring site suite sites
  keyring=$(debian_keyring)
  sites=$(configured_sites)
  [[ -n $sites ]] || fail 'no package source is configured on this machine' "$no_packages_hint"
  for suite in stable testing unstable oldstable; do
    for site in $sites; do
      echo "deb [signed-by=$keyring] $site $suite main" >"$apt_state/sources.list"
      say "looking for postgresql-$major-pgvector in Debian $suite"
      private_apt apt-get -q update >"$apt_state/update.log" 2>&1 || {
        say "  not from $site: $(grep -m1 '^E:' "$apt_state/update.log" || echo 'apt-get update failed')"
        continue
      }
      if private_apt apt-cache show "postgresql-$major-pgvector" >/dev/null 2>&1; then
        return
      fi
      break
    done
  done
  find_release_to_build_on "$keyring" "$sites" ||
    fail "no configured Debian archive has postgresql-$major-pgvector" "$no_packages_hint"
}

# A release with the server and its headers; the source of pgvector is that of the stable release.
find_release_to_build_on() {
  local keyring=$1 sites=$2 site suite
  command -v gcc >/dev/null && command -v make >/dev/null || return 1
  [[ $arch == "$(dpkg --print-architecture)" ]] || return 1
  for suite in oldstable stable; do
    for site in $sites; do
      {
        echo "deb [signed-by=$keyring] $site $suite main"
        echo "deb-src [signed-by=$keyring] $site stable main"
      } >"$apt_state/sources.list"
      private_apt apt-get -q update >"$apt_state/update.log" 2>&1 || continue
      if private_apt apt-cache show "postgresql-server-dev-$major" >/dev/null 2>&1; then
        say "building pgvector for PostgreSQL $major of Debian $suite"
        builds_vector=yes
        return
      fi
    done
  done
  return 1
}

# The headers and what is built with them go where the packages' files are; the headers are not needed afterwards.
build_vector() {
  local sources=$work/pgvector
  mkdir -p "$sources/tree"
  (
    # Within `||` a failure does not end this by itself. Not -march=native: the folder may go to another machine.
    cd "$sources" &&
      private_apt apt-get -q source --download-only pgvector &&
      private_apt apt-get -q download "postgresql-server-dev-$major" &&
      tar -xf pgvector_*.orig.tar.* -C tree --strip-components=1 &&
      dpkg-deb -x ./*.deb "$root" &&
      make -C tree OPTFLAGS='' with_llvm=no PG_CONFIG="$root/usr/lib/postgresql/$major/bin/pg_config" install
  ) >"$apt_state/build.log" 2>&1 || {
    tail -n 20 "$apt_state/build.log" >&2
    fail 'pgvector was not built' "$no_packages_hint"
  }
  rm -rf "$root/usr/include"
}

# Of all that an installation would bring, the libraries and programs that a relocated server loads; not what only Perl,
# PAM, the just-in-time compiler or the package system itself would use.
wanted_packages() {
  local extensions=("postgresql-$major-pgvector" "postgresql-$major-cron")
  if [[ $builds_vector == yes ]]; then extensions=(); fi
  private_apt apt-get -q --simulate install pgbouncer openssl "postgresql-$major" "${extensions[@]}" \
    >"$apt_state/plan" 2>"$apt_state/plan.log" || {
    cat "$apt_state/plan.log" >&2
    fail 'apt cannot resolve the packages' "$no_packages_hint"
  }
  awk '$1 == "Inst" { print $2 }' "$apt_state/plan" | sed 's/:.*//' |
    grep -E "^(lib.*|zlib1g|openssl|openssl-provider-.*|postgresql-$major(-pgvector|-cron)?|postgresql-client-$major|pgbouncer)$" |
    grep -vE '^(libllvm|libz3-|libperl|libpam-modules|libpam-runtime|libsemanage|libsepol|libgdbm|libdb5|libproc2|libdebconf|libc-l10n|libc-bin|libaudit-common)|-perl$'
}

unpack_packages() {
  local packages deb
  mapfile -t packages < <(wanted_packages)
  ((${#packages[@]} > 10)) || fail 'the package plan is too short to be right' "see $apt_state/plan"
  say "downloading ${#packages[@]} packages"
  (cd "$work/debs" && private_apt apt-get -q download "${packages[@]}" >"$apt_state/download.log" 2>&1) || {
    cat "$apt_state/download.log" >&2
    fail 'the download broke off' 'try again when the archive can be reached'
  }
  for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$root"
  done
  merge_into_usr
}

# Up to Debian 12 some packages have their files below /lib, where only a link of the base system makes them one with /usr/lib.
merge_into_usr() {
  local folder
  for folder in bin sbin lib lib64; do
    [[ -d $root/$folder && ! -L $root/$folder ]] || continue
    mkdir -p "$root/usr/$folder"
    cp -a "$root/$folder/." "$root/usr/$folder/"
    rm -rf "${root:?}/$folder"
  done
}

is_elf() { [[ $(head -c4 "$1" | tail -c3) == ELF ]]; }

# Nothing may be resolved outside the folder: it would work here and fail on the next machine.
check_resolution() {
  local file=$1 listing
  listing=$("$root/$loader" --inhibit-cache --library-path "$root/$libraries" --list "$file" 2>&1) ||
    fail "the libraries of ${file#"$root/"} do not resolve: $listing" 'wanted_packages leaves out too much'
  if grep '=> ' <<<"$listing" | grep -vF "=> $root/" >&2; then
    fail "${file#"$root/"} resolves outside its folder" 'wanted_packages leaves out too much'
  fi
}

# The loader is named on the command line rather than through LD_LIBRARY_PATH, which programs started by the server would
# inherit. --argv0 lets PostgreSQL find its share folder and its sister programs by its own path.
wrap() {
  local program=$1 up=$2 folder name
  folder=${program%/*} name=${program##*/}
  mkdir -p "$folder/.real"
  mv "$program" "$folder/.real/$name"
  cat >"$program" <<WRAPPER
#!/bin/sh
here=\${0%/*}
case \$here in /*) ;; *) here=\$PWD/\$here ;; esac
root=\$here/$up
exec "\$root/$loader" --inhibit-cache --library-path "\$root/$libraries" --argv0 "\$here/$name" "\$here/.real/$name" "\$@"
WRAPPER
  chmod 755 "$program"
}

configure_apt
find_release
unpack_packages
if [[ $builds_vector == yes ]]; then build_vector; fi

shopt -s nullglob
loaders=("$root"/usr/lib/*-linux-gnu*/ld-linux-*.so.*)
((${#loaders[@]} == 1)) || fail "expected one loader in libc6, found ${#loaders[@]}" 'teach this script the new place'
loader=${loaders[0]#"$root/"}
libraries=${loader%/*}
server=$root/usr/lib/postgresql/$major

rm -rf "$server"/lib/{bitcode,llvmjit*,*plperl*} "$root"/usr/share/{doc,man,lintian}
# The server's own messages stay in two languages: what the console makes of an error must not hang on English words.
find "$root/usr/share/locale" -type f \
  ! -path "*/de/LC_MESSAGES/postgres-$major.mo" ! -path "*/fr/LC_MESSAGES/postgres-$major.mo" -delete

programs=("$server"/bin/*)
extra=("$root/usr/sbin/pgbouncer" "$root/usr/bin/openssl")
if [[ $arch == "$(dpkg --print-architecture)" ]]; then
  for file in "${programs[@]}" "$server"/lib/*.so "${extra[@]}"; do
    if is_elf "$file"; then check_resolution "$file"; fi
  done
fi
for file in "${programs[@]}"; do
  if is_elf "$file"; then wrap "$file" ../../../../..; fi
done
for file in "${extra[@]}"; do
  wrap "$file" ../..
done

(cd "$work/debs" && printf '%s\n' *.deb) >"$root/.complete"
rm -rf "$destination"
mv "$root" "$destination"
say "PostgreSQL $major is in $destination"
echo "$destination"
