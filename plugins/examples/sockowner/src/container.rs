//! A container by the name of its cgroup: Docker, containerd, Podman and CRI-O all put its id into it, in their own ways.

/// Hexadecimal digits of a container's id.
const ID: usize = 64;
/// How many of them are shown, as `docker ps` does.
const SHOWN: usize = 12;

/// The id of the innermost container that a cgroup is in, as far as it is shown.
pub fn of(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find_map(|folder| {
        // Podman's and CRI-O's process that watches the container is outside of it.
        if folder.contains("conmon") {
            return None;
        }
        let id = folder.split(['-', ':', '.']).find(|part| is_id(part))?;
        id.get(..SHOWN)
    })
}

fn is_id(part: &str) -> bool {
    part.len() == ID && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "3f2a9c01d4e5b6f7a8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";

    #[test]
    fn ids_are_found_as_each_writes_them() {
        for path in [
            "/system.slice/docker-ID.scope",
            "/docker/ID",
            "/docker/ID/init.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7a1c.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-pod7a1c.slice/crio-ID.scope",
            "/system.slice/containerd.service/kubepods-besteffort-pod7a1c.slice:cri-containerd:ID",
            "/kubepods/besteffort/pod0ad5e5b4-8a4f-4d4c-9d35-1c1f3e7c2c11/ID",
            "/../ID",
        ] {
            assert_eq!(of(&path.replace("ID", ONE)), Some("3f2a9c01d4e5"), "{path}");
        }
    }

    #[test]
    fn the_innermost_counts() {
        let other = ONE.replace("3f2a", "beef");
        assert_eq!(of(&format!("/docker/{ONE}/docker/{other}")), Some("beef9c01d4e5"));
    }

    #[test]
    fn other_names_are_no_containers() {
        let long = format!("/docker/{ONE}0");
        let capital = format!("/docker/{}", ONE.to_uppercase());
        let conmon = format!("/machine.slice/libpod-conmon-{ONE}.scope");
        for path in ["", "/", "/system.slice/nginx.service", "/docker/3f2a9c01d4e5", &long, &capital, &conmon]
        {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
