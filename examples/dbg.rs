fn main(){ let p: Vec<std::path::PathBuf>=std::env::args().skip(1).map(Into::into).collect(); let (r,c)=barewire::testing::replay(&p); for x in r { println!("{x:?}\n"); } println!("{c:?}"); }
