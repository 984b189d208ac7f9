#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]
use gatecert_http01::*;
use std::time::*;
use tokio::io::*;
fn schedstat(path:&str)->u64{ std::fs::read_to_string(path).unwrap().split(' ').next().unwrap().parse().unwrap() }
async fn load(addr: std::net::SocketAddr, conns: usize, pipeline: usize, secs: f64) -> u64 {
    let token="LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    let req=format!("GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
    let mut one=tokio::net::TcpStream::connect(addr).await.unwrap();
    one.write_all(req.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut b=vec![0;65536]; let size=one.read(&mut b).await.unwrap();
    println!("{}", String::from_utf8_lossy(&b[..size]));
    let end=Instant::now()+Duration::from_secs_f64(secs);
    let mut set=tokio::task::JoinSet::new();
    for _ in 0..conns { let req=req.repeat(pipeline); set.spawn(async move {
        let mut s=tokio::net::TcpStream::connect(addr).await.unwrap(); s.set_nodelay(true).unwrap();
        let mut b=vec![0;size*pipeline]; let mut n=0u64;
        while Instant::now()<end { s.write_all(req.as_bytes()).await.unwrap(); s.read_exact(&mut b).await.unwrap(); n+=pipeline as u64; }
        n }); }
    let mut t=0; while let Some(n)=set.join_next().await { t+=n.unwrap(); } t
}
fn main(){
    let args:Vec<String>=std::env::args().collect();
    let conns:usize=args[1].parse().unwrap(); let pipe:usize=args[2].parse().unwrap(); let mode=&args[3];
    let rt=||tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (addr,stat)= if mode=="self" {
        let (tx,rx)=std::sync::mpsc::channel();
        std::thread::spawn(move||{
            let tid=std::fs::read_link("/proc/thread-self").unwrap();
            rt().block_on(async move {
                let store=TokenStore::new();
                for i in 0..1000 { store.insert(&format!("h{i}.example.com"),"t","t.x").unwrap(); }
                let token="LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
                store.insert("www.example.com",token,&format!("{token}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI")).unwrap();
                let s=Server::bind(ListenAddress::loopback(0)).unwrap();
                tx.send((s.local_addrs()[0],format!("/proc/{}/schedstat",tid.display()))).unwrap();
                let _=s.serve(Responder::new(store),std::future::pending()).await;
            });
        });
        rx.recv().unwrap()
    } else { (format!("127.0.0.1:{mode}").parse().unwrap(), format!("/proc/{}/schedstat",args[4])) };
    let c0=schedstat(&stat); let t0=Instant::now();
    let n=rt().block_on(load(addr,conns,pipe,3.0));
    let cpu=schedstat(&stat)-c0; let wall=t0.elapsed();
    println!("conns {conns} pipe {pipe}: {n} requests, {:.0}/s wall, server cpu {} ns/request => {:.0}/s per core", n as f64/wall.as_secs_f64(), cpu/n, 1e9/(cpu as f64/n as f64));
}
